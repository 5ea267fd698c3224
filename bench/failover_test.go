//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/testkit/writers"
)

const (
	kills          = 20
	killWriters    = 4
	failoverMedian = 1000
	failoverWorst  = 2000
)

// TestFailover kills the leader of three managers, with SIGKILL, again and again
// while others write: how long until a write is acknowledged that began after
// the kill, and is any lost that was acknowledged, or done twice? This one
// fails when one is.
func TestFailover(t *testing.T) {
	c, r := startTrio(t), result
	clients := c.dial(t, killWriters)
	w, err := writers.Start(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	next := func(after time.Time) time.Duration {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		took, err := w.Next(ctx, after)
		if err != nil {
			t.Fatal(err)
		}
		return took
	}
	next(time.Now())
	var times samples
	for range kills {
		leader := c.await(t, 3)
		p := c.managers[leader]
		killed := time.Now()
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		times = append(times, next(killed).Seconds()*1e3)
		<-p.exited
		c.launch(t, leader, "manager", "start")
		c.caughtUp(t, leader, clients[0])
	}
	acknowledged := w.Stop()
	if err := w.Check(t.Context(), clients[0]); err != nil {
		t.Error(err)
	}
	r.measurement("leader killed, until the next acknowledged write", "ms", times)
	r.atMost("leader killed, until the next acknowledged write, median", times.median(), failoverMedian, "ms")
	r.atMost("leader killed, until the next acknowledged write, worst", times.quantile(1), failoverWorst, "ms")
	r.note("%d kills, %d writes acknowledged, each of them done once", kills, acknowledged)
}

// caughtUp waits until a manager that was started again has what is known now.
func (c *trio) caughtUp(t *testing.T, i int, leader *client.Client) {
	t.Helper()
	ref := &warrenv1.Ref{NameOrId: "writer-0"}
	now, err := leader.Services.GetService(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	c.managers[i].until(t, "it has caught up", func() error {
		m, err := client.Dial(t.Context(), client.Options{Manager: c.addresses[i], Home: c.home(), Stale: true})
		if err != nil {
			return err
		}
		defer m.Close()
		its, err := m.Services.GetService(t.Context(), ref)
		if err == nil && its.GetRevision() < now.GetRevision() {
			err = errors.New(fmt.Sprint("it is at revision ", its.GetRevision()))
		}
		return err
	})
}
