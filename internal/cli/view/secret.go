package view

import (
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// Secret is a secret's metadata; its value is never shown, nor sent here.
type Secret struct {
	Meta
	// Altered says that its record was changed in the database: it is not used.
	Altered   bool      `json:"altered,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
	// Version is the newest one's number, and Size its delivered bytes.
	Version  uint64          `json:"version"`
	Size     uint64          `json:"size"`
	Keys     []string        `json:"keys"`
	Versions []SecretVersion `json:"versions"`
	// Keep is how many versions are kept, those in use aside.
	Keep int `json:"keep"`
	// Lifetime of a version, such as 90d; empty when it does not expire.
	Lifetime  string       `json:"lifetime,omitempty"`
	ExpiresAt time.Time    `json:"expires_at,omitzero"`
	UsedBy    []Usage      `json:"used_by"`
	Tasks     []SecretTask `json:"tasks"`
}

// SecretVersion is one immutable value's metadata.
type SecretVersion struct {
	Number    uint64    `json:"number"`
	Size      uint64    `json:"size"`
	Keys      []string  `json:"keys"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"`
	// CopyOf is the earlier version whose value it has.
	CopyOf    uint64    `json:"copy_of,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Tasks that have it, by name.
	Tasks []string `json:"tasks"`
}

// SecretTask is a task and the version that it has.
type SecretTask struct {
	Task    string `json:"task"`
	TaskID  string `json:"task_id"`
	Service string `json:"service"`
	// Version that its container sees; 0 when none.
	Version uint64 `json:"version"`
	Wanted  uint64 `json:"wanted"`
}

// String is a line of inspect: postgres-task-1 has version 3.
func (t SecretTask) String() string {
	switch {
	case t.Version == t.Wanted:
		return fmt.Sprintf("%s has version %d", t.Task, t.Version)
	case t.Version == 0:
		return fmt.Sprintf("%s has none now, and gets version %d when it starts", t.Task, t.Wanted)
	}
	return fmt.Sprintf("%s has version %d, and gets version %d", t.Task, t.Version, t.Wanted)
}

// NewSecret shows a secret.
func NewSecret(s *warrenv1.Secret) Secret {
	newest := spec.NewestVersion(s)
	out := Secret{
		Meta: newMeta(s.GetMeta()), Altered: s.GetAltered(), UpdatedAt: moment(s.GetMeta().GetUpdatedAt()),
		Version: newest.GetNumber(), Size: newest.GetSize(), Keys: append([]string{}, newest.GetKeys()...),
		Versions: All(s.GetVersions(), newSecretVersion),
		Keep:     spec.Keep(s), ExpiresAt: moment(newest.GetExpiresAt()),
		UsedBy: usages(s.GetUsedBy()),
		Tasks: All(s.GetTasks(), func(t *warrenv1.SecretTask) SecretTask {
			return SecretTask{Task: t.GetTask(), TaskID: t.GetTaskId(), Service: t.GetService(), Version: t.GetVersion(), Wanted: t.GetWanted()}
		}),
	}
	if s.GetLifetime().AsDuration() > 0 {
		out.Lifetime = spec.FormatLifetime(s.GetLifetime().AsDuration())
	}
	for i := range out.Versions {
		for _, t := range out.Tasks {
			if t.Version == out.Versions[i].Number {
				out.Versions[i].Tasks = append(out.Versions[i].Tasks, t.Task)
			}
		}
	}
	return out
}

func newSecretVersion(v *warrenv1.SecretVersion) SecretVersion {
	return SecretVersion{
		Number: v.GetNumber(), Size: v.GetSize(), Keys: append([]string{}, v.GetKeys()...), CreatedAt: moment(v.GetCreatedAt()),
		CreatedBy: v.GetCreatedBy(), CopyOf: v.GetCopyOf(), ExpiresAt: moment(v.GetExpiresAt()), Tasks: []string{},
	}
}

// Expires says when the newest version does, and marks what wants attention.
func (s Secret) Expires(now time.Time) string { return expires(s.ExpiresAt, now) }

// Expires says when the version does.
func (v SecretVersion) Expires(now time.Time) string { return expires(v.ExpiresAt, now) }

func expires(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !now.Before(at):
		return spec.FormatUntil(at, now) + " (EXPIRED)"
	case !now.Before(at.Add(-spec.ExpiryNotice)):
		return spec.FormatUntil(at, now) + " (SOON)"
	}
	return spec.FormatUntil(at, now)
}
