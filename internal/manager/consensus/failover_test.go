package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

const counter = "counter"

// count is one request: it raises the counter, and notes in a row of its own
// how often it was done.
func count(request string) func(*store.Tx) error {
	raise := func(tx *store.Tx, name string) error {
		row, err := tx.Registries().Get(name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(row.GetUsername())
		return tx.Registries().Put(&warrenv1.Registry{Host: name, Username: strconv.Itoa(n + 1)}, name)
	}
	return func(tx *store.Tx) error {
		return errors.Join(raise(tx, counter), raise(tx, request), tx.Done(request))
	}
}

// load writes without a pause, from several sides, until stop. It says of each
// acknowledged request when it was.
type load struct {
	c            *testkit.Cluster
	acknowledged chan time.Time
	mu           sync.Mutex
	done         []string
	work         sync.WaitGroup
	cancel       context.CancelFunc
}

func startLoad(t *testing.T, c *testkit.Cluster, writers int) *load {
	t.Helper()
	l := &load{c: c, acknowledged: make(chan time.Time, 1)}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(t.Context())
	for w := range writers {
		l.work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				request := fmt.Sprintf("request-%d-%d", w, i)
				began := time.Now()
				// A request that was begun is ended, so that its outcome is known.
				if err := c.Update(context.WithoutCancel(ctx), request, count(request)); err != nil {
					t.Errorf("%s: %v", request, err)
					return
				}
				l.note(request, began)
			}
		})
	}
	return l
}

// note remembers a request, and tells when the newest began: only one that
// began after a kill shows that there is a leader again.
func (l *load) note(request string, began time.Time) {
	l.mu.Lock()
	l.done = append(l.done, request)
	l.mu.Unlock()
	select {
	case <-l.acknowledged:
	default:
	}
	select {
	case l.acknowledged <- began:
	default:
	}
}

// next waits for a request that began after the moment to be acknowledged.
func (l *load) next(t *testing.T, after time.Time) time.Duration {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for {
		select {
		case began := <-l.acknowledged:
			if began.After(after) {
				return time.Since(after)
			}
		case <-ctx.Done():
			t.Fatal("no write was acknowledged any more")
		}
	}
}

func (l *load) stop() []string {
	l.cancel()
	l.work.Wait()
	return l.done
}

// once fails unless each of the requests was done exactly once, and nothing else.
func once(t *testing.T, m *testkit.Manager, requests []string) {
	t.Helper()
	rows := map[string]string{}
	err := m.Store.View(within(t, 10*time.Second), func(tx *store.ReadTx) error {
		for _, row := range tx.Registries().List() {
			rows[row.GetHost()] = row.GetUsername()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rows[counter] != strconv.Itoa(len(requests)) {
		t.Errorf("%d requests were acknowledged, and the counter says %s", len(requests), rows[counter])
	}
	for _, r := range requests {
		if rows[r] != "1" {
			t.Errorf("%s was done %q times", r, rows[r])
		}
	}
}

// failover kills the leader again and again under load. It returns the times
// from each kill until the acknowledgement of a write that began after it.
func failover(t *testing.T, kills int) (times []time.Duration) {
	c := testkit.NewCluster(t, 3)
	l := startLoad(t, c, 4)
	l.next(t, time.Now())
	for range kills {
		leader := c.Leader(within(t, 20*time.Second))
		killed := time.Now()
		c.Isolate(leader.ID)
		times = append(times, l.next(t, killed))
		c.Stop(leader)
		c.Heal()
		c.Start(leader)
		l.next(t, time.Now())
	}
	requests := l.stop()
	once(t, c.Leader(within(t, 20*time.Second)), requests)
	slices.Sort(times)
	t.Logf("%d kills, %d requests acknowledged; until the next acknowledged write: median %s, worst %s", kills, len(requests),
		times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
	return times
}

func TestNothingAcknowledgedIsLostWhenLeadersVanish(t *testing.T) {
	t.Parallel()
	failover(t, 2)
}
