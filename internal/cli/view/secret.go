package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Secret is a secret's metadata; its value is never shown, nor sent here.
type Secret struct {
	Meta
	// Version is the newest one's number, and Size its delivered bytes.
	Version  uint64          `json:"version"`
	Size     uint64          `json:"size"`
	Keys     []string        `json:"keys"`
	Versions []SecretVersion `json:"versions"`
	UsedBy   []Usage         `json:"used_by"`
}

// SecretVersion is one immutable value's metadata.
type SecretVersion struct {
	Number    uint64    `json:"number"`
	Size      uint64    `json:"size"`
	CreatedAt time.Time `json:"created_at"`
}

// NewSecret shows a secret.
func NewSecret(s *warrenv1.Secret) Secret {
	out := Secret{
		Meta: newMeta(s.GetMeta()),
		Keys: []string{},
		Versions: All(s.GetVersions(), func(v *warrenv1.SecretVersion) SecretVersion {
			return SecretVersion{Number: v.GetNumber(), Size: v.GetSize(), CreatedAt: moment(v.GetCreatedAt())}
		}),
		UsedBy: usages(s.GetUsedBy()),
	}
	if n := len(s.GetVersions()); n > 0 {
		newest := s.GetVersions()[n-1]
		out.Version, out.Size = newest.GetNumber(), newest.GetSize()
		out.Keys = append(out.Keys, newest.GetKeys()...)
	}
	return out
}
