package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Namespace is a room of names and what it may have; 0 is no limit.
type Namespace struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	CreatedAt   time.Time         `json:"created_at,omitzero"`
	VolumeQuota uint64            `json:"volume_quota"`
	SecretQuota uint64            `json:"secret_quota"`
	// VolumeBytes is the limits of its volumes added up, those in the trash too.
	VolumeBytes uint64 `json:"volume_bytes"`
	Volumes     uint32 `json:"volumes"`
	Trashed     uint32 `json:"trashed"`
	Secrets     uint32 `json:"secrets"`
	Services    uint32 `json:"services"`
}

// NewNamespace shows a namespace.
func NewNamespace(n *warrenv1.Namespace) Namespace {
	use := n.GetUse()
	return Namespace{
		Name: n.GetMeta().GetName(), Labels: whole(n.GetMeta().GetLabels()), CreatedAt: moment(n.GetMeta().GetCreatedAt()),
		VolumeQuota: n.GetVolumeQuota(), SecretQuota: n.GetSecretQuota(), VolumeBytes: use.GetVolumeBytes(),
		Volumes: use.GetVolumes(), Trashed: use.GetTrashed(), Secrets: use.GetSecrets(), Services: use.GetServices(),
	}
}
