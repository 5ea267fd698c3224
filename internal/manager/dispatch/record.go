package dispatch

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
)

// recorder writes the audit log's records of what is handed out. Records that
// come while a transaction is on its way go together into the next, so that a
// thousand tasks that start at once cost a few transactions.
type recorder struct {
	// turn is held by whoever commits.
	turn sync.Mutex

	mu   sync.Mutex
	next *records
}

// records are what one transaction writes. Whoever made it commits it, for all.
type records struct {
	list []*warrenv1.AuditRecord
	done chan struct{}
	err  error
}

// maxRecords keeps a transaction far below its limit.
const maxRecords = 1000

// join adds records to the next transaction, and tells whether it is the
// caller who has to commit it.
func (r *recorder) join(list []*warrenv1.AuditRecord) (batch *records, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if mine = r.next == nil || len(r.next.list) >= maxRecords; mine {
		r.next = &records{done: make(chan struct{})}
	}
	r.next.list = append(r.next.list, list...)
	return r.next, mine
}

// leave closes a batch to others.
func (r *recorder) leave(batch *records) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == batch {
		r.next = nil
	}
}

// record returns once the audit log says that the node has got the values for
// the task: nothing is handed out without.
func (t *term) record(ctx context.Context, nodeID string, task *warrenv1.Task, values ...vault.Object) error {
	var list []*warrenv1.AuditRecord
	for _, o := range values {
		list = append(list, &warrenv1.AuditRecord{
			Time: timestamppb.Now(), ActorId: nodeID, Role: warrenv1.Role_ROLE_WORKER, Action: "fetched",
			Kind: string(o.Kind), Namespace: o.Namespace, Name: o.Name, Id: o.ID, Versions: []uint64{o.Version},
			Task: task.GetMeta().GetName(), TaskId: task.GetMeta().GetId(),
		})
	}
	batch, mine := t.recorder.join(list)
	if mine {
		t.recorder.turn.Lock()
		t.recorder.leave(batch)
		// It is the others' batch too: this caller's end is not theirs.
		batch.err = t.commitRecords(batch.list)
		t.recorder.turn.Unlock()
		close(batch.done)
	}
	select {
	case <-batch.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if errors.Is(batch.err, store.ErrDiskFull) {
		return status.Error(codes.ResourceExhausted, "the manager's disk is full, and no secret is handed out without a record of it; free space there")
	}
	if batch.err != nil {
		return status.Errorf(codes.Unavailable, "that the secrets are handed out could not be recorded: %v", batch.err)
	}
	return nil
}

func (t *term) commitRecords(list []*warrenv1.AuditRecord) error {
	return t.Store.Update(t.ctx, func(tx *store.Tx) error {
		for _, r := range list {
			node, err := tx.Nodes().Peek(r.GetActorId())
			if unlessNotFound(err) != nil {
				return err
			}
			r.Actor = node.GetMeta().GetName()
			if err := tx.Audit().Append(r); err != nil {
				return err
			}
		}
		return nil
	})
}
