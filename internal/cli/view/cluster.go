package view

import (
	"strings"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Cluster is the one row that says which cluster this is.
type Cluster struct {
	ID                   string `json:"id"`
	Name                 string `json:"name"`
	Leader               string `json:"leader"`
	Manager              string `json:"manager"`
	Version              string `json:"version"`
	UnlockKeyFingerprint string `json:"unlock_key_fingerprint"`
	CACertificate        string `json:"ca_certificate"`
	// TrashTime is how long deleted volumes wait in the trash.
	TrashTime string    `json:"trash_time"`
	CreatedAt time.Time `json:"created_at"`
	Autolock  bool      `json:"autolock"`
	// UnlockKeyExportedAt is when a person was given the unlock key.
	UnlockKeyExportedAt time.Time   `json:"unlock_key_exported_at,omitzero"`
	RotateEvery         string      `json:"rotate_every,omitempty"`
	Rotation            *Rotation   `json:"rotation,omitempty"`
	Managers            []KeyHolder `json:"managers,omitempty"`
}

// KeyHolder is a manager, and whether its keys are open.
type KeyHolder struct {
	Name        string `json:"name"`
	Address     string `json:"address,omitempty"`
	Leader      bool   `json:"leader"`
	Sealed      bool   `json:"sealed"`
	Unreachable string `json:"unreachable,omitempty"`
}

// String is the manager in one line.
func (k KeyHolder) String() string {
	switch {
	case k.Unreachable != "":
		return k.Name + " (does not answer)"
	case k.Sealed:
		return k.Name + " (sealed)"
	case k.Leader:
		return k.Name + " (leader)"
	}
	return k.Name
}

// NewCluster shows a cluster as the manager at that address told it.
func NewCluster(c *warrenv1.Cluster, manager string) Cluster {
	v := Cluster{
		ID:                   c.GetId(),
		Name:                 c.GetName(),
		Leader:               c.GetLeader(),
		Manager:              manager,
		Version:              c.GetVersion(),
		UnlockKeyFingerprint: c.GetUnlockKeyFingerprint(),
		CACertificate:        string(c.GetCaCertificate()),
		TrashTime:            plain(c.GetSettings().GetTrashTime().AsDuration()),
		CreatedAt:            moment(c.GetCreatedAt()),
		Autolock:             c.GetSettings().GetAutolock(),
		UnlockKeyExportedAt:  moment(c.GetUnlockKeyExportedAt()),
	}
	if every := c.GetSettings().GetRotateEvery().AsDuration(); every > 0 {
		v.RotateEvery = plain(every)
	}
	if c.GetRotation() != nil {
		rotation := NewRotation(c.GetRotation())
		v.Rotation = &rotation
	}
	return v
}

// NewKeyHolders shows how the managers are.
func NewKeyHolders(holders []*warrenv1.KeyHolder) (out []KeyHolder) {
	for _, h := range holders {
		out = append(out, KeyHolder{h.GetName(), h.GetAddress(), h.GetLeader(), h.GetSealed(), h.GetUnreachable()})
	}
	return out
}

// plain prints a time without the units that are zero: 24h.
func plain(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}
