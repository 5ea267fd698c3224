package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/testkit"
)

// full is an engine whose disk is full once it is told so, and that counts the
// transactions that record something.
type full struct {
	store.Engine
	mu      sync.Mutex
	full    bool
	records int
}

func (f *full) Propose(ctx context.Context, t *storepb.Transaction) (uint64, error) {
	f.mu.Lock()
	is := f.full && !t.Reclaim
	for _, op := range t.Operations {
		if op.GetAppend().GetChain() {
			f.records++
			break
		}
	}
	f.mu.Unlock()
	if is {
		return 0, store.ErrDiskFull
	}
	return f.Engine.Propose(ctx, t)
}

func (h *house) audit() (told []string) {
	h.t.Helper()
	err := h.Store.View(h.ctx, func(tx *store.ReadTx) error {
		for e := range tx.Audit().After(0) {
			var r warrenv1.AuditRecord
			if err := proto.Unmarshal(e.GetRecord(), &r); err != nil {
				return err
			}
			told = append(told, fmt.Sprintf("%s %s %s %s %d for %s", r.GetActor(), r.GetAction(), r.GetKind(), r.GetName(), r.GetVersions(), r.GetTask()))
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return told
}

func TestWhoGetsWhichValueIsRecordedFirst(t *testing.T) {
	config, keys := withVault(t)
	_, state := testkit.NewState(t)
	engine := &full{Engine: state}
	h := newHouse(t, config, func(c *Config) { c.Store = store.New(engine) }).lead()
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		t.Fatal(err)
	}
	pin, big := keepSecret(h, keys, "db-password", 2, "hunter2"), keepSecret(h, keys, "big", 1, strings.Repeat("x", maxHandful))
	h.putTask("a", "n1", func(task *warrenv1.Task) { task.Secrets = []*warrenv1.SecretPin{pin, big, pin} })
	h.putTask("none", "n1")
	w := h.connect("n1")
	w.until(func() bool { return len(w.tasks) == 2 })
	if got, err := fetch(h, "n1", "a", key); err != nil || len(got) != 3 {
		t.Fatalf("fetched %v, %v", got, err)
	}
	if got, err := fetch(h, "n1", "none", key); err != nil || len(got) != 0 {
		t.Fatalf("fetched %v, %v", got, err)
	}
	one := "n1 fetched secret db-password [2] for svc-task-a"
	want := fmt.Sprint([]string{one, "n1 fetched secret big [1] for svc-task-a", one})
	if got := fmt.Sprint(h.audit()); got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}

	engine.mu.Lock()
	engine.full = true
	engine.mu.Unlock()
	got, err := fetch(h, "n1", "a", key)
	if status.Code(err) != codes.ResourceExhausted || len(got) != 0 || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("without a record %d values were handed out, %v", len(got), err)
	}
	if got := fmt.Sprint(h.audit()); got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

// Records that come together are written together, and none is lost.
func TestManyFetchesCostFewTransactions(t *testing.T) {
	config, keys := withVault(t)
	_, state := testkit.NewState(t)
	engine := &full{Engine: state}
	h := newHouse(t, config, func(c *Config) { c.Store = store.New(engine) }).lead()
	pin := keepSecret(h, keys, "db-password", 2, "hunter2")
	const tasks = 100
	for i := range tasks {
		h.putTask(fmt.Sprint(i), "n1", func(task *warrenv1.Task) { task.Secrets = []*warrenv1.SecretPin{pin} })
	}
	w := h.connect("n1")
	w.until(func() bool { return len(w.tasks) == tasks })
	var fetches sync.WaitGroup
	for i := range tasks {
		fetches.Go(func() {
			key, err := seal.GenerateEnvelopeKey()
			if err == nil {
				_, err = fetch(h, "n1", fmt.Sprint(i), key)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	fetches.Wait()
	seen := map[string]bool{}
	for _, line := range h.audit() {
		seen[line] = true
	}
	if len(seen) != tasks {
		t.Errorf("%d fetches are recorded, not %d", len(seen), tasks)
	}
	if engine.records >= tasks {
		t.Errorf("%d fetches cost %d transactions", tasks, engine.records)
	}
	t.Logf("%d fetches, %d transactions", tasks, engine.records)
}

func TestACallerThatGoesDoesNotKeepOthersFromTheirRecord(t *testing.T) {
	var r recorder
	batch, mine := r.join([]*warrenv1.AuditRecord{{}})
	other, also := r.join([]*warrenv1.AuditRecord{{}})
	if !mine || also || batch != other || len(batch.list) != 2 {
		t.Fatalf("joined %v %v %v", mine, also, batch.list)
	}
	r.leave(batch)
	if next, mine := r.join(nil); !mine || next == batch {
		t.Error("a batch that is on its way takes more records")
	}
	crowd := make([]*warrenv1.AuditRecord, maxRecords)
	first, _ := r.join(crowd)
	if second, mine := r.join(crowd); !mine || second == first {
		t.Error("a batch grows without limit")
	}
	r.leave(first) // a full one that leaves does not close the next
	if third, mine := r.join(nil); mine && third == first {
		t.Error("a batch was joined after it left")
	}
}
