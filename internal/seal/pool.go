package seal

import (
	"sync"
	"syscall"
)

// pool keeps pages of destroyed values, wiped and still locked, for the values
// that come next: mapping, locking and unmapping cost several system calls, and
// more than all the cryptography of a small value.
//
// A slice that somebody keeps beyond Destroy no longer faults then, but shows
// zeros or another's value; so nothing is kept where mistakes are looked for,
// under the race detector.
type pool struct {
	mu   sync.Mutex
	free []pages
}

// spare are single pages; larger values are rare.
var spare pool

// keepPages bounds what lies locked and unused: 256 KiB.
const keepPages = 64

// obtain returns at least n zeroed bytes as mapPages does, used ones if it can.
func obtain(n int) (pages, bool, error) {
	if n <= syscall.Getpagesize() {
		if page, ok := spare.take(); ok {
			return page, true, nil
		}
	}
	return mapPages(n)
}

// giveBack wipes the memory, and keeps or unmaps it.
func (m *memory) giveBack() {
	clear(m.pages.bytes())
	if !m.locked || !spare.put(m.pages) {
		m.pages.release()
	}
}

// take returns a page that holds nothing, if there is one.
func (p *pool) take() (pages, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return pages{}, false
	}
	last := len(p.free) - 1
	page := p.free[last]
	p.free = p.free[:last]
	return page, true
}

// put takes a locked, wiped page, or tells that it is not wanted.
func (p *pool) put(page pages) bool {
	if !reusePages || page.size != syscall.Getpagesize() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == keepPages {
		return false
	}
	p.free = append(p.free, page)
	return true
}
