package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
)

// hearing remembers when each node that is not down was last heard. It is
// never stored: a heartbeat costs no write.
type hearing struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// now notes that the node was heard.
func (h *hearing) now(nodeID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[nodeID] = time.Now()
}

// silent returns the nodes that were heard, but not since.
func (h *hearing) silent(since time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var nodes []string
	for id, at := range h.last {
		if at.Before(since) {
			nodes = append(nodes, id)
		}
	}
	return nodes
}

// isSilent tells whether nothing was heard of the node since.
func (h *hearing) isSilent(nodeID string, since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[nodeID].Before(since)
}

// until returns when the node will count as down, if nothing is heard of it; it
// has passed for a node that is down already.
func (h *hearing) until(nodeID string, patience time.Duration) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[nodeID].Add(patience)
}

// forget drops a node that is down, unless it was heard since.
func (h *hearing) forget(nodeID string, since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last[nodeID].Before(since) {
		delete(h.last, nodeID)
	}
}

// expectReady takes every node that was ready when the term began as heard just
// now: it has that long to find the new leader.
func (t *term) expectReady(ctx context.Context) error {
	return t.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
		for key, s := range tx.NodeStatus().List() {
			if s.GetState() == warrenv1.NodeState_NODE_STATE_READY {
				t.heard.now(key.ID())
			}
		}
		return nil
	})
}

// keepWatch marks nodes down that fell silent.
func (t *term) keepWatch(ctx context.Context) error {
	tick := time.NewTicker(t.HeartbeatPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			since := now.Add(-t.patience())
			silent := t.heard.silent(since)
			if len(silent) == 0 {
				continue
			}
			if err := t.markDown(ctx, silent, since); err != nil {
				t.Log.Error("recording that nodes are down failed; it is tried again", "nodes", silent, "error", err)
			}
		}
	}
}

// markReady records what a worker said of itself when it connected. A node
// must come back also while the disk is full, or nothing on it could be deleted.
func (t *term) markReady(ctx context.Context, nodeID string, node *warrenv1.NodeDescription) error {
	now := timestamppb.Now()
	return t.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Reclaim()
		if _, err := tx.Nodes().Get(nodeID); errors.Is(err, store.ErrNotFound) {
			return errNoMember
		} else if err != nil {
			return err
		}
		was, err := tx.NodeStatus().Get(nodeID)
		if unlessNotFound(err) != nil {
			return err
		}
		is := &warrenv1.NodeStatus{NodeId: nodeID, State: warrenv1.NodeState_NODE_STATE_READY, Description: node, StateSince: now}
		if was.GetState() == is.State {
			is.StateSince = was.StateSince
		}
		if proto.Equal(was, is) {
			return nil
		}
		if err := tx.NodeStatus().Put(is, nodeID); err != nil || was.GetState() == is.State {
			return err
		}
		return nodeEvent(tx, nodeID, "ready", "")
	})
}

func (t *term) markDown(ctx context.Context, nodes []string, since time.Time) error {
	now := timestamppb.Now()
	err := t.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Reclaim()
		for _, id := range nodes {
			s, err := tx.NodeStatus().Get(id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			// It may have come back while this waited for its turn.
			if s.GetState() == warrenv1.NodeState_NODE_STATE_DOWN || !t.heard.isSilent(id, since) {
				continue
			}
			s.State, s.StateSince = warrenv1.NodeState_NODE_STATE_DOWN, now
			s.Message = fmt.Sprintf("nothing was heard of it for %v", t.patience())
			if err := errors.Join(tx.NodeStatus().Put(s, id), nodeEvent(tx, id, "down", s.Message)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range nodes {
		t.Log.Warn("node is down", "node", id)
		t.heard.forget(id, since)
		// A session that began just now may have found the node still ready;
		// its next hello puts that right.
		if s := t.session(id); s != nil {
			s.end(errSilent)
		}
	}
	return nil
}
