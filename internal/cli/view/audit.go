package view

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/protobuf/proto"
)

// Audit is one record of the audit log.
type Audit struct {
	Sequence  uint64    `json:"sequence"`
	Time      time.Time `json:"time"`
	Actor     string    `json:"actor"`
	ActorID   string    `json:"actor_id,omitempty"`
	Role      string    `json:"role,omitempty"`
	Action    string    `json:"action"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	ID        string    `json:"id,omitempty"`
	Versions  []uint64  `json:"versions,omitempty"`
	Task      string    `json:"task,omitempty"`
	TaskID    string    `json:"task_id,omitempty"`
	Message   string    `json:"message,omitempty"`
	// Hash chains it to the record before.
	Hash string `json:"hash"`
}

// NewAudit reads a record; the error says that its bytes are none.
func NewAudit(e *warrenv1.AuditEntry) (Audit, error) {
	var r warrenv1.AuditRecord
	if err := proto.Unmarshal(e.GetRecord(), &r); err != nil {
		return Audit{}, fmt.Errorf("record %d of the audit log cannot be read: %w", e.GetSequence(), err)
	}
	a := Audit{
		Sequence: e.GetSequence(), Time: moment(r.GetTime()), Hash: hex.EncodeToString(e.GetHash()),
		Actor: r.GetActor(), ActorID: r.GetActorId(),
		Action: r.GetAction(), Kind: r.GetKind(), Namespace: r.GetNamespace(), Name: r.GetName(), ID: r.GetId(),
		Versions: slices.Clone(r.GetVersions()), Task: r.GetTask(), TaskID: r.GetTaskId(), Message: r.GetMessage(),
	}
	if r.GetRole() != warrenv1.Role_ROLE_UNSPECIFIED {
		a.Role = strings.ToLower(strings.TrimPrefix(r.GetRole().String(), "ROLE_"))
	}
	return a, nil
}

// String is the record as a sentence, without its time.
func (a Audit) String() string {
	who := a.Actor
	if a.Role != "" {
		who = a.Role + " " + who
	}
	text := fmt.Sprintf("%s  %s %s %s", who, a.Action, a.Kind, a.Name)
	if a.Namespace != "" && a.Namespace != "default" {
		text += " of namespace " + a.Namespace
	}
	if len(a.Versions) > 0 {
		text += ", version " + strings.Trim(strings.ReplaceAll(fmt.Sprint(a.Versions), " ", ", "), "[]")
	}
	if a.Task != "" {
		text += ", for task " + a.Task
	}
	if a.Message != "" {
		text += ", " + a.Message
	}
	return text
}
