package seal

import (
	"crypto/subtle"
	"errors"
	"runtime"
	"sync"
)

// Plaintext holds a secret value or a key in the clear: outside the Go heap,
// locked into RAM where the system allows it, and left out of core dumps. It
// prints as [redacted] everywhere. Whoever makes or is given one destroys it:
//
//	defer p.Destroy()
//
// which is also what keeps its memory alive while Bytes is in use.
type Plaintext struct {
	redacted
	mem *memory
}

type memory struct {
	mu      sync.Mutex
	pages   pages
	n       int
	locked  bool
	gone    bool
	cleanup runtime.Cleanup
}

// NewPlaintext returns n zero bytes to fill.
func NewPlaintext(n int) (*Plaintext, error) {
	if n < 0 {
		return nil, errors.New("a secret's size cannot be negative")
	}
	mapped, locked, err := obtain(n)
	if err != nil {
		return nil, err
	}
	m := &memory{pages: mapped, n: n, locked: locked}
	// A net for a Plaintext that somebody forgot to destroy.
	m.cleanup = runtime.AddCleanup(m, pages.release, mapped)
	return &Plaintext{mem: m}, nil
}

// PlaintextFrom copies b into a new Plaintext and wipes b, also when it fails.
func PlaintextFrom(b []byte) (*Plaintext, error) {
	defer clear(b)
	p, err := NewPlaintext(len(b))
	if err != nil {
		return nil, err
	}
	copy(p.Bytes(), b)
	return p, nil
}

// Bytes returns the value itself, not a copy. The slice is valid until Destroy
// and as long as p is reachable; touching it later is a mistake that shows zeros
// or another's value, or crashes the process. A function that does not destroy p
// ends with runtime.KeepAlive(p).
func (p *Plaintext) Bytes() []byte {
	p.mem.mu.Lock()
	defer p.mem.mu.Unlock()
	if p.mem.gone {
		return nil
	}
	return p.mem.pages.bytes()[:p.mem.n:p.mem.n]
}

// Len returns the number of bytes, 0 after Destroy.
func (p *Plaintext) Len() int { return len(p.Bytes()) }

// Locked tells whether the memory is locked into RAM.
func (p *Plaintext) Locked() bool { return p.mem.locked }

// Equal compares two values. Its time depends on their lengths only.
func (p *Plaintext) Equal(q *Plaintext) bool {
	defer runtime.KeepAlive(q)
	defer runtime.KeepAlive(p)
	return subtle.ConstantTimeCompare(p.Bytes(), q.Bytes()) == 1
}

// Destroy wipes the value and gives its memory back. Calling it again, or on
// nil, does nothing.
func (p *Plaintext) Destroy() {
	if p == nil {
		return
	}
	p.mem.mu.Lock()
	defer p.mem.mu.Unlock()
	if p.mem.gone {
		return
	}
	p.mem.gone = true
	p.mem.cleanup.Stop()
	p.mem.giveBack()
}
