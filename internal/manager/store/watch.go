package store

import (
	"context"
	"slices"
	"sync"
)

// coalesce bounds how many keys a watcher remembers: beyond it, it only knows
// that everything may have changed.
const coalesce = 16384

// Changes says which rows may have changed. It names rows, not values: look
// them up.
type Changes struct {
	// All: anything may have changed, look at everything.
	All  bool
	keys map[Table]map[Key]struct{}
}

// Any tells whether a row of one of the tables may have changed.
func (c Changes) Any(tables ...Table) bool {
	return c.All || slices.ContainsFunc(tables, func(t Table) bool { return len(c.keys[t]) > 0 })
}

// Keys are the table's changed rows, in order. With All set it cannot know
// them.
func (c Changes) Keys(t Table) []Key {
	keys := make([]Key, 0, len(c.keys[t]))
	for k := range c.keys[t] {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Watcher collects which rows changed while its owner was busy. However slow
// the owner is, nothing is dropped: changes of one row coalesce.
type Watcher struct {
	all    *watchers
	tables []Table
	wake   chan struct{}

	mu      sync.Mutex
	pending Changes
	closed  bool
}

// Watch returns a watcher of the tables, or of all without any. Its first Next
// returns at once with All set, so that its owner starts from a full look.
func (s *Store) Watch(tables ...Table) *Watcher {
	w := &Watcher{all: &s.watchers, tables: tables, wake: make(chan struct{}, 1)}
	w.pending = Changes{All: true}
	w.wake <- struct{}{}
	s.watchers.add(w)
	return w
}

// Next waits for changes and returns all since the last call. A View or a
// ViewStale from then on shows them. It returns the context's error when that
// ends, and ErrClosed after Close.
func (w *Watcher) Next(ctx context.Context) (Changes, error) {
	for {
		if changes, ok, err := w.take(); ok || err != nil {
			return changes, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Changes{}, ctx.Err()
		}
	}
}

func (w *Watcher) take() (Changes, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return Changes{}, false, ErrClosed
	}
	changes := w.pending
	w.pending = Changes{}
	return changes, changes.All || len(changes.keys) > 0, nil
}

// Close ends the watcher and whoever waits in its Next.
func (w *Watcher) Close() {
	w.all.remove(w)
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
}

func (w *Watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// note remembers changed rows; nil says all of them.
func (w *Watcher) note(keys []string) {
	w.mu.Lock()
	changed := false
	if keys == nil {
		w.pending, changed = Changes{All: true}, true
	}
	for _, raw := range keys {
		table, key := splitKey(raw)
		if len(w.tables) > 0 && !slices.Contains(w.tables, table) {
			continue
		}
		changed = true
		w.pending.add(table, key)
	}
	w.mu.Unlock()
	if changed {
		w.signal()
	}
}

func (c *Changes) add(t Table, k Key) {
	if c.All {
		return
	}
	if c.keys == nil {
		c.keys = map[Table]map[Key]struct{}{}
	}
	if c.keys[t] == nil {
		c.keys[t] = map[Key]struct{}{}
	}
	c.keys[t][k] = struct{}{}
	if len(c.keys[t]) > coalesce {
		*c = Changes{All: true}
	}
}

// watchers are the open watchers of a store.
type watchers struct {
	mu   sync.Mutex
	open map[*Watcher]struct{}
}

func (ws *watchers) add(w *Watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open == nil {
		ws.open = map[*Watcher]struct{}{}
	}
	ws.open[w] = struct{}{}
}

func (ws *watchers) remove(w *Watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.open, w)
}

func (ws *watchers) notify(keys []string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.open {
		w.note(keys)
	}
}
