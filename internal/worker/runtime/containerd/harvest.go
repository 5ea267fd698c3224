package containerd

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/ttrpc"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// harvestTimeout is how long a shim may take to answer.
const harvestTimeout = 2 * time.Second

// harvesting asks the shims how their containers ended, around the start of
// containerd, which deletes a container that has ended and with it the answer.
type harvesting struct {
	running []*lastLook
	mu      sync.Mutex
	done    sync.WaitGroup
}

// lastLook waits for the end of a container that still runs.
type lastLook struct {
	bundle string
	cancel context.CancelFunc
	done   chan struct{}
}

// harvest records the end of every container in dir that has already ended,
// and keeps asking the others until finish, so that none can end unseen
// between this look and containerd's own.
func harvest(ctx context.Context, dir string, runs runs, log *slog.Logger) *harvesting {
	h := &harvesting{}
	bundles, err := os.ReadDir(dir)
	if err != nil {
		return h // the first start
	}
	for _, bundle := range bundles {
		id := bundle.Name()
		if !bundle.IsDir() || strings.HasPrefix(id, ".") {
			continue
		}
		h.done.Go(func() {
			if err := h.ask(ctx, filepath.Join(dir, id), id, runs, log); err != nil {
				log.Warn("a container's shim does not answer", "container", id, "error", err)
			}
		})
	}
	h.done.Wait()
	return h
}

// finish ends the asking, once containerd has had its own look.
func (h *harvesting) finish() {
	for _, look := range h.running {
		// Containerd removed the bundle: it has ended, the answer is on its way.
		if _, err := os.Stat(look.bundle); err != nil {
			select {
			case <-look.done:
			case <-time.After(harvestTimeout):
			}
		}
		look.cancel()
		<-look.done
	}
}

// ask records the end of one container, now or, when it still runs, from then
// on until finish.
func (h *harvesting) ask(ctx context.Context, bundle, id string, runs runs, log *slog.Logger) error {
	address, err := shimAddress(bundle)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", address, harvestTimeout)
	if err != nil {
		return err
	}
	c := ttrpc.NewClient(conn)
	shim := taskapi.NewTTRPCTaskClient(c)
	wait := func(ctx context.Context) error {
		defer c.Close()
		end, err := shim.Wait(ctx, &taskapi.WaitRequest{ID: id})
		if err != nil {
			return err
		}
		_, err = runs.ended(id, runtime.Exit{Code: int(end.ExitStatus), At: end.ExitedAt.AsTime()})
		return err
	}

	askCtx, cancelAsk := context.WithTimeout(ctx, harvestTimeout)
	defer cancelAsk()
	state, err := shim.State(askCtx, &taskapi.StateRequest{ID: id})
	if err != nil {
		c.Close()
		return err
	}
	if state.Status == task.Status_STOPPED {
		return wait(askCtx)
	}
	waitCtx, cancel := context.WithCancel(ctx)
	look := &lastLook{bundle: bundle, cancel: cancel, done: make(chan struct{})}
	h.mu.Lock()
	h.running = append(h.running, look)
	h.mu.Unlock()
	go func() {
		defer close(look.done)
		if err := wait(waitCtx); err != nil && waitCtx.Err() == nil {
			log.Warn("a container's shim went away", "container", id, "error", err)
		}
	}()
	return nil
}

// shimAddress reads the shim's socket from what containerd noted of it.
func shimAddress(bundle string) (string, error) {
	b, err := os.ReadFile(filepath.Join(bundle, "bootstrap.json"))
	if err != nil {
		return "", err
	}
	var bootstrap struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(b, &bootstrap); err != nil {
		return "", err
	}
	return strings.TrimPrefix(bootstrap.Address, "unix://"), nil
}
