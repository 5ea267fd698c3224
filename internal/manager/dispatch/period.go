package dispatch

import "time"

// tellPeriod is how often a worker that begins a session now is to be heard.
func (t *term) tellPeriod() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := periodFor(t.HeartbeatPeriod, len(t.sessions))
	t.slowest = max(t.slowest, p)
	return p
}

// periodFor is the period in a cluster of that many nodes.
func periodFor(base time.Duration, nodes int) time.Duration {
	if nodes <= fewNodes || base >= longestPeriod {
		return base
	}
	return min(base*time.Duration(nodes)/fewNodes, longestPeriod)
}

// patience is how long nothing may be heard of a node before it is down. It
// only grows in a term: workers keep the period that they were told.
func (t *term) patience() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return missedBeats * t.slowest
}
