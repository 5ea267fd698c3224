// Package writers has clients of a cluster write without a pause, and knows
// afterwards what must have become of it: each write that was acknowledged was
// done, and done once.
//
// Each writer changes a service of its own, which counts its changes by itself:
// a write that is lost or done twice shows in its revision.
package writers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
)

// Writers write until they are stopped.
type Writers struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	// begun has when the newest write began that was acknowledged.
	begun chan time.Time

	mu           sync.Mutex
	acknowledged map[string]uint64 // by service
	failed       error
}

// Start has each of the clients write to a service of its own, until Stop or
// the first write that fails.
func Start(ctx context.Context, clients []*client.Client) (*Writers, error) {
	w := &Writers{begun: make(chan time.Time, 1), acknowledged: map[string]uint64{}}
	writing, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	for i, c := range clients {
		name := fmt.Sprint("writer-", i)
		if _, err := c.Services.CreateService(ctx, &warrenv1.CreateServiceRequest{Name: name, Spec: idle()}); err != nil {
			w.Stop()
			return nil, err
		}
		// A write that was begun is ended, so that its outcome is known.
		w.work.Go(func() { w.write(context.WithoutCancel(ctx), writing.Done(), c, name) })
	}
	return w, nil
}

// idle is a service that runs nothing.
func idle() *warrenv1.ServiceSpec {
	return &warrenv1.ServiceSpec{Container: &warrenv1.ContainerSpec{Image: "busybox"}}
}

func (w *Writers) write(ctx context.Context, stopped <-chan struct{}, c *client.Client, service string) {
	for n := 1; ; n++ {
		select {
		case <-stopped:
			return
		default:
		}
		began := time.Now()
		_, err := c.Services.UpdateService(ctx, &warrenv1.UpdateServiceRequest{
			Ref: &warrenv1.Ref{NameOrId: service}, Spec: idle(), Labels: map[string]string{"write": fmt.Sprint(n)},
		})
		w.mu.Lock()
		if err != nil {
			w.failed = errors.Join(w.failed, fmt.Errorf("write %d of %s: %w", n, service, err))
			w.mu.Unlock()
			return
		}
		w.acknowledged[service]++
		w.mu.Unlock()
		select {
		case <-w.begun:
		default:
		}
		select {
		case w.begun <- began:
		default:
		}
	}
}

// Next waits for the acknowledgement of a write that began after that moment,
// and returns how long after it that is.
func (w *Writers) Next(ctx context.Context, after time.Time) (time.Duration, error) {
	for {
		select {
		case began := <-w.begun:
			if began.After(after) {
				return time.Since(after), nil
			}
		case <-ctx.Done():
			w.mu.Lock()
			defer w.mu.Unlock()
			return 0, errors.Join(fmt.Errorf("no write was acknowledged any more: %w", ctx.Err()), w.failed)
		}
	}
}

// Stop ends the writing and returns how many writes were acknowledged.
func (w *Writers) Stop() (acknowledged uint64) {
	w.cancel()
	w.work.Wait()
	for _, n := range w.acknowledged {
		acknowledged += n
	}
	return acknowledged
}

// Check compares, after Stop, what was acknowledged with what is there.
func (w *Writers) Check(ctx context.Context, c *client.Client) error {
	wrong := w.failed
	for service, n := range w.acknowledged {
		is, err := c.Services.GetService(ctx, &warrenv1.Ref{NameOrId: service})
		if err != nil {
			return errors.Join(wrong, err)
		}
		if is.GetRevision() != n+1 || is.GetMeta().GetLabels()["write"] != fmt.Sprint(n) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %d writes were acknowledged, and it is at revision %d with write %s",
				service, n, is.GetRevision(), is.GetMeta().GetLabels()["write"]))
		}
	}
	return wrong
}
