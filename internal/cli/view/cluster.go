package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Cluster is the one row that says which cluster this is.
type Cluster struct {
	ID                   string    `json:"id"`
	Name                 string    `json:"name"`
	Leader               string    `json:"leader"`
	Manager              string    `json:"manager"`
	Version              string    `json:"version"`
	UnlockKeyFingerprint string    `json:"unlock_key_fingerprint"`
	CACertificate        string    `json:"ca_certificate"`
	CreatedAt            time.Time `json:"created_at"`
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
		CreatedAt:            moment(c.GetCreatedAt()),
	}
}
