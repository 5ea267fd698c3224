package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// ErrRemoved is returned by Run when this node was taken out of its cluster.
var ErrRemoved = errors.New("this node is no member of its cluster any more")

// emptyCheck is how often it is looked whether the last container has stopped,
// which no manager is told any more.
const emptyCheck = 100 * time.Millisecond

// removed tells a manager's word that this node is no member from any other
// refusal. The manager has proven that it is one of this cluster.
func removed(err error) bool {
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.PermissionDenied && slices.ContainsFunc(st.Details(), func(d any) bool {
		detail, ok := d.(*warrenv1.ErrorDetail)
		return ok && detail.GetKind() == spec.KindMember
	})
}

// empty stops everything that was assigned here, and returns once it is gone
// or ctx ends. The data of volumes stays.
func (a *Agent) empty(ctx context.Context) {
	a.log.Warn("this node was taken out of its cluster: its containers are stopped, the data of volumes stays")
	a.apply(&warrenv1.Assignments{Full: true})
	tick := time.NewTicker(emptyCheck)
	defer tick.Stop()
	for a.busy() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *Agent) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.tasks) > 0
}
