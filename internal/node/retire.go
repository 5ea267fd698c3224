package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

// leaderlessLimit is how long a manager that hears of no leader waits before it
// asks the others whether it is one of them still.
const leaderlessLimit = 3 * time.Second

// untilRetired returns errRetired once this node is no manager any more: its
// state says so, or the others do, who do not send it their state any longer.
func (m *manager) untilRetired(ctx context.Context) error {
	w := m.state.store.Watch(store.TableRetired, store.TableNodes)
	defer w.Close()
	for {
		still, cancel := context.WithTimeout(ctx, leaderlessLimit)
		_, err := w.Next(still)
		cancel()
		quiet := errors.Is(err, context.DeadlineExceeded)
		if !quiet && err == nil {
			m.learnManagers(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !quiet:
			return nil // the state was closed
		case quiet && m.state.consensus.LeaderAddress() == "" && m.refusedByOthers(ctx), !quiet && m.retired(ctx):
			m.log.Warn("this node is no manager of its cluster any more")
			return errRetired
		}
	}
}

// learnManagers remembers where the others are, for when this node leaves, and
// for when they no longer speak with it.
func (m *manager) learnManagers(ctx context.Context) {
	var list []string
	err := m.state.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for _, node := range tx.Nodes().List() {
			if slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) && node.GetAddress() != "" {
				list = append(list, node.GetAddress())
			}
		}
		return nil
	})
	if err == nil && len(list) > 0 {
		m.noteManagers(list)
	}
}

// retired tells whether this manager's own state says that it is none.
func (m *manager) retired(ctx context.Context) bool {
	gone := false
	err := m.state.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		node, err := tx.Nodes().Get(m.settings.NodeID)
		if err == nil && slices.Contains(node.GetRoles(), warrenv1.Role_ROLE_MANAGER) {
			return nil
		}
		// Before it has caught up, a manager's state does not know the manager.
		_, err = tx.Retired().Get(m.settings.NodeID)
		gone = err == nil
		return nil
	})
	return err == nil && gone
}

// refusedByOthers asks the other managers whether this one is a member.
func (m *manager) refusedByOthers(ctx context.Context) bool {
	source := m.identity.wait(ctx)
	if source == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, leaderlessLimit)
	defer cancel()
	for _, address := range m.candidates()[1:] {
		c, err := client.Dial(ctx, client.Options{Manager: address, As: source, Patience: time.Second})
		if err == nil {
			_, err = c.Clusters.GetCluster(ctx, &warrenv1.GetClusterRequest{})
			c.Close()
		}
		if noMember(err) {
			return true
		}
	}
	return false
}

// noMember tells a manager's word that this node is none of the cluster's from
// any other refusal.
func noMember(err error) bool {
	if refused := (*client.Error)(nil); errors.As(err, &refused) {
		return refused.Kind == spec.KindMember && refused.Code == client.Denied
	}
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.PermissionDenied && slices.ContainsFunc(st.Details(), func(d any) bool {
		detail, ok := d.(*warrenv1.ErrorDetail)
		return ok && detail.GetKind() == spec.KindMember
	})
}

// retire lets go of what a manager has. The state is kept beside, under another
// name: it is worth nothing without the unlock key, which is removed.
func (p *prepared) retire() error {
	p.closeAPI()
	p.unlock.Destroy()
	p.unlock = seal.UnlockKey{}
	if err := p.setManager(false); err != nil {
		return err
	}
	left := filepath.Join(p.layout.Data, "data-left")
	return errors.Join(os.RemoveAll(left), os.Rename(p.layout.state(), left), os.RemoveAll(p.layout.keys()), directories(p.layout), syncDir(p.layout.Data))
}
