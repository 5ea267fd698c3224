package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

// indexed notes at which index each Update was applied.
type indexed struct{ store.Engine }

type indexKey struct{}

func (e indexed) Propose(ctx context.Context, t *storepb.Transaction) (uint64, error) {
	index, err := e.Engine.Propose(ctx, t)
	if at, ok := ctx.Value(indexKey{}).(*uint64); ok && err == nil {
		*at = index
	}
	return index, err
}

// step is one transaction: what it is to read and write, then what it saw and
// when it happened.
type step struct {
	reads, writes []string
	deletes       bool
	value         string
	fails         bool

	saw   map[string]string
	index uint64
}

var errWanted = errors.New("the closure fails")

func (p *step) run(s *store.Store, namespace string) error {
	ctx := context.WithValue(context.Background(), indexKey{}, &p.index)
	return s.Update(ctx, func(tx *store.Tx) error {
		p.saw = map[string]string{}
		for _, key := range p.reads {
			hold, err := tx.Holds().Get(namespace, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			p.saw[key] = hold.GetExclusiveTaskId()
		}
		for _, key := range p.writes {
			var err error
			if p.deletes {
				err = tx.Holds().Delete(namespace, key)
			} else {
				err = tx.Holds().Put(&storepb.Hold{ExclusiveTaskId: p.value}, namespace, key)
			}
			if err != nil {
				return err
			}
		}
		if p.fails {
			return errWanted
		}
		return nil
	})
}

// Whatever transactions meet, what each read is what the ones before it, in the
// order of the log, have written: they happened one after the other.
func TestTransactionsAreSerializable(t *testing.T) {
	t.Parallel()
	_, c := testkit.NewState(t)
	s := store.New(indexed{c})
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string])
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		namespace := fmt.Sprint("round-", round)
		clients := make([][]*step, rapid.IntRange(2, 6).Draw(rt, "clients"))
		for i := range clients {
			for j := range rapid.IntRange(1, 4).Draw(rt, "steps") {
				clients[i] = append(clients[i], &step{
					reads:   keys.Draw(rt, "reads"),
					writes:  keys.Draw(rt, "writes"),
					deletes: rapid.Bool().Draw(rt, "deletes"),
					fails:   rapid.IntRange(0, 9).Draw(rt, "fails") == 0,
					value:   fmt.Sprint(i, "-", j),
				})
			}
		}
		var all sync.WaitGroup
		for _, steps := range clients {
			all.Go(func() {
				for _, p := range steps {
					if err := p.run(s, namespace); err != nil && !(p.fails && errors.Is(err, errWanted)) {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		checkOrder(rt, clients)
	})
}

func checkOrder(t *rapid.T, clients [][]*step) {
	var order []*step
	for _, steps := range clients {
		last := uint64(0)
		for _, p := range steps {
			if p.fails || len(p.writes) == 0 {
				continue
			}
			if p.index <= last {
				t.Fatalf("a client's step happened at %d, after its next at %d", p.index, last)
			}
			last = p.index
			order = append(order, p)
		}
	}
	slices.SortFunc(order, func(a, b *step) int { return cmp.Compare(a.index, b.index) })
	state := map[string]string{}
	for _, p := range order {
		for key, saw := range p.saw {
			if saw != state[key] {
				t.Fatalf("the step at %d saw %s=%q, but it was %q", p.index, key, saw, state[key])
			}
		}
		for _, key := range p.writes {
			state[key] = p.value
			if p.deletes {
				delete(state, key)
			}
		}
	}
}
