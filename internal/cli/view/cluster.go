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
}

// NewCluster shows a cluster as the manager at that address told it.
func NewCluster(c *warrenv1.Cluster, manager string) Cluster {
	return Cluster{
		ID:                   c.GetId(),
		Name:                 c.GetName(),
		Leader:               c.GetLeader(),
		Manager:              manager,
		Version:              c.GetVersion(),
		UnlockKeyFingerprint: c.GetUnlockKeyFingerprint(),
		CACertificate:        string(c.GetCaCertificate()),
		TrashTime:            plain(c.GetSettings().GetTrashTime().AsDuration()),
		CreatedAt:            moment(c.GetCreatedAt()),
	}
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
