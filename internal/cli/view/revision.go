package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Revision is a service as it was after one of its changes.
type Revision struct {
	Revision uint64 `json:"revision"`
	// SpecVersion is the revision that brought the container as it is here.
	SpecVersion uint64            `json:"spec_version"`
	CreatedAt   time.Time         `json:"created_at"`
	Change      string            `json:"change"`
	Replicas    uint32            `json:"replicas"`
	Labels      map[string]string `json:"labels"`
	Container
	Update UpdateRules `json:"update_rules"`
}

// NewRevision shows a revision.
func NewRevision(r *warrenv1.ServiceRevision) Revision {
	return Revision{
		Revision: r.GetRevision(), SpecVersion: r.GetSpecVersion(), CreatedAt: moment(r.GetCreatedAt()), Change: r.GetChange(),
		Replicas: r.GetSpec().GetReplicas(), Labels: whole(r.GetLabels()),
		Container: newContainer(r.GetSpec().GetContainer()), Update: newUpdateRules(r.GetSpec(), r.GetSpec().GetUpdate().GetOrder()),
	}
}
