package testkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cuemby/warren/internal/manager/consensus"
	"github.com/cuemby/warren/internal/manager/store"
)

// Cluster is several managers in this process, each with its directory.
type Cluster struct {
	*Network
	Managers []*Manager

	t   testing.TB
	dir string
	log *slog.Logger
	// mu guards which managers are up.
	mu sync.Mutex
}

// Manager is one of them. What it embeds is nil while it is down.
type Manager struct {
	ID string
	*consensus.Consensus
	Store *store.Store

	dir string
}

// NewCluster starts that many managers; the first one leads at first.
func NewCluster(t testing.TB, size int) *Cluster {
	t.Helper()
	// The first directory is made before the cleanup that still needs it.
	c := &Cluster{Network: NewNetwork(), t: t, log: slog.New(slog.DiscardHandler), dir: t.TempDir()}
	t.Cleanup(c.close)
	first := c.NewManager()
	if err := first.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := first.WaitLeading(ctx); err != nil {
		t.Fatal(err)
	}
	for range size - 1 {
		m := c.NewManager()
		if err := first.AddManager(ctx, m.ID, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// NewManager starts a manager that is no member yet. Its address is its ID.
func (c *Cluster) NewManager() *Manager {
	c.t.Helper()
	id := fmt.Sprintf("node-test-%06d", len(c.Managers)+1)
	m := &Manager{ID: id, dir: filepath.Join(c.dir, id)}
	c.mu.Lock()
	c.Managers = append(c.Managers, m)
	c.mu.Unlock()
	c.Start(m)
	return m
}

// Start starts a manager that is down.
func (c *Cluster) Start(m *Manager) {
	c.t.Helper()
	opened, err := consensus.Open(consensus.Options{
		DataDir: m.dir, NodeID: m.ID, Logger: c.log.With("manager", m.ID), Reserve: 8 << 20,
		Transport: consensus.NewTransport(c.listen(m.ID), c.log),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Consensus, m.Store = opened, store.New(opened)
}

// Stores are those of the managers that are up now.
func (c *Cluster) Stores() []*store.Store {
	c.mu.Lock()
	defer c.mu.Unlock()
	var up []*store.Store
	for _, m := range c.Managers {
		if m.Store != nil {
			up = append(up, m.Store)
		}
	}
	return up
}

// Kill stops a manager without a word to the others: for them it vanishes. It
// stays cut off until Heal.
func (c *Cluster) Kill(m *Manager) {
	c.t.Helper()
	c.Isolate(m.ID)
	c.Stop(m)
}

// Stop stops a manager in order.
func (c *Cluster) Stop(m *Manager) {
	c.t.Helper()
	if err := m.Close(); err != nil {
		c.t.Errorf("stop %s: %v", m.ID, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Consensus, m.Store = nil, nil
}

// Leader waits until one of the managers leads.
func (c *Cluster) Leader(ctx context.Context) *Manager {
	c.t.Helper()
	for {
		for _, m := range c.Managers {
			if m.Consensus != nil && m.IsLeader() && m.Barrier(ctx) == nil {
				return m
			}
		}
		select {
		case <-time.After(5 * time.Millisecond): // whichever of them it will be
		case <-ctx.Done():
			c.t.Fatal("nobody leads")
		}
	}
}

// Update makes a change wherever it can be made, until it is known to be: as a
// client with several addresses does. All attempts carry the request's ID.
func (c *Cluster) Update(ctx context.Context, request string, fn func(*store.Tx) error) error {
	ctx = store.WithRequest(ctx, request)
	for {
		for _, s := range c.Stores() {
			err := s.Update(ctx, fn)
			var replayed *store.Replayed
			switch {
			case err == nil, errors.As(err, &replayed):
				return nil
			case errors.Is(err, store.ErrNotLeader), errors.Is(err, store.ErrUnknown), errors.Is(err, store.ErrClosed):
			default:
				return err
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Cluster) close() {
	c.Heal()
	for _, m := range c.Managers {
		if m.Consensus != nil {
			c.Stop(m)
		}
	}
}
