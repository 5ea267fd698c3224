package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/testkit"
)

// input is an operation on one register.
type input struct {
	name  string
	write string // empty for a read
	// from is what the register must have for the write to happen; "*" for
	// whatever it has.
	from string
}

// output is what is known of an operation's result.
type output struct {
	value   string // of a read
	swapped bool   // of a conditional write
	unknown bool
}

// registers is what the state should behave like.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			name := op.Input.(input).name
			byName[name] = append(byName[name], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byName {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		i, o, now := in.(input), out.(output), state.(string)
		matches := i.from == "*" || i.from == now
		switch {
		case i.write == "":
			return o.value == now, now
		case o.unknown && matches:
			return true, i.write // or never, which is when it comes after all others
		case o.unknown:
			return true, now
		case o.swapped:
			return matches, i.write
		}
		return !matches, now
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// history collects what clients did, and when.
type history struct {
	began time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

func (h *history) add(client int, in input, call int64, out output) {
	end := h.now()
	if out.unknown {
		end = math.MaxInt64 // it may still happen
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

var errDiffers = errors.New("the register has another value")

// do makes one attempt at an operation. known is false for one that has
// certainly not happened, and says nothing.
func do(ctx context.Context, s *store.Store, in input) (out output, known bool) {
	get := func(tx *store.ReadTx) (string, error) {
		row, err := tx.Registries().Get(in.name)
		if errors.Is(err, store.ErrNotFound) {
			return "", nil
		}
		return row.GetUsername(), err
	}
	if in.write == "" {
		err := s.View(ctx, func(tx *store.ReadTx) (err error) {
			out.value, err = get(tx)
			return err
		})
		return out, err == nil
	}
	err := s.Update(ctx, func(tx *store.Tx) error {
		if now, err := get(&tx.ReadTx); err != nil {
			return err
		} else if in.from != "*" && now != in.from {
			return errDiffers
		}
		return tx.Registries().Put(&warrenv1.Registry{Host: in.name, Username: in.write}, in.name)
	})
	switch {
	case err == nil:
		return output{swapped: true}, true
	case errors.Is(err, errDiffers):
		return output{}, true
	case errors.Is(err, store.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return output{unknown: true}, true
	}
	return output{}, false
}

// client makes operations at random managers until ctx ends.
func client(ctx context.Context, id int, c *testkit.Cluster, h *history) {
	random := rand.New(rand.NewPCG(1, uint64(id)))
	for n := 0; ctx.Err() == nil; n++ {
		stores := c.Stores()
		in := input{name: fmt.Sprintf("register-%d", random.IntN(2))}
		switch random.IntN(3) {
		case 0:
			in.write, in.from = fmt.Sprintf("%d-%d", id, n), "*"
		case 1:
			in.write, in.from = fmt.Sprintf("%d-%d", id, n), fmt.Sprintf("%d-%d", random.IntN(3), n)
		}
		one, cancel := context.WithTimeout(ctx, time.Second)
		call := h.now()
		if out, known := do(one, stores[random.IntN(len(stores))], in); known {
			h.add(id, in, call, out)
		} else {
			<-time.After(time.Millisecond) // at one that does not lead
		}
		cancel()
	}
}

// trouble makes one thing go wrong for a while.
func trouble(c *testkit.Cluster, random *rand.Rand) {
	victim := c.Managers[random.IntN(len(c.Managers))]
	other := c.Managers[random.IntN(len(c.Managers))]
	pause := func() { <-time.After(time.Duration(100+random.IntN(500)) * time.Millisecond) }
	switch random.IntN(4) {
	case 0:
		c.Isolate(victim.ID)
		pause()
	case 1:
		c.Cut(victim.ID, other.ID)
		pause()
	case 2:
		c.Slow(victim.ID, 20*time.Millisecond)
		pause()
	case 3:
		c.Kill(victim)
		pause()
		c.Start(victim)
	}
	c.Heal()
	pause()
}

// Whatever is cut, slowed, killed and started again: the state behaves as if
// there were one copy of it, changed by one at a time.
func linearizable(t *testing.T, last time.Duration, seed uint64) {
	c := testkit.NewCluster(t, 3)
	h := &history{began: time.Now()}
	ctx, cancel := context.WithTimeout(t.Context(), last)
	defer cancel()
	var clients sync.WaitGroup
	for id := range 3 {
		clients.Go(func() { client(ctx, id, c, h) })
	}
	random := rand.New(rand.NewPCG(seed, seed))
	for ctx.Err() == nil {
		trouble(c, random)
	}
	clients.Wait()
	unknown := 0
	for _, op := range h.all {
		if op.Output.(output).unknown {
			unknown++
		}
	}
	t.Logf("seed %d: %d operations, %d of unknown outcome", seed, len(h.all), unknown)
	if result := porcupine.CheckOperationsTimeout(registers, h.all, 30*time.Second); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: %s", result)
	}
}

func TestHistoriesAreLinearizable(t *testing.T) {
	t.Parallel()
	linearizable(t, 2*time.Second, 1)
}
