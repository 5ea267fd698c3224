package seal

import "sync"

// maxCorrespondents bounds how many data keys lie in locked memory, a page
// each.
const maxCorrespondents = 128

// correspondents are the data keys of the senders that a receiver heard first
// of late, by the head of their envelopes, so that opening many envelopes of
// one sender costs one decapsulation. The zero value is ready.
type correspondents struct {
	mu    sync.RWMutex
	by    map[string]*sealer
	order []string // oldest first
}

// use calls open with the head's key, if it is known. The key is not wiped
// meanwhile.
func (c *correspondents) use(head []byte, open func(*sealer) (*Plaintext, error)) (p *Plaintext, err error, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s := c.by[string(head)]
	if s == nil {
		return nil, nil, false
	}
	p, err = open(s)
	return p, err, true
}

// add remembers a key, which it takes over, in the place of the oldest.
func (c *correspondents) add(head []byte, s *sealer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[string(head)] != nil { // it came twice at once
		s.destroy()
		return
	}
	if c.by == nil {
		c.by = map[string]*sealer{}
	}
	if len(c.order) == maxCorrespondents {
		c.by[c.order[0]].destroy()
		delete(c.by, c.order[0])
		c.order = c.order[1:]
	}
	c.by[string(head)] = s
	c.order = append(c.order, string(head))
}

func (c *correspondents) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.by {
		s.destroy()
	}
	c.by, c.order = nil, nil
}
