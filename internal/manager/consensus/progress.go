package consensus

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// listening is a transport that overhears how far the others have come: Raft
// knows, and does not tell.
type listening struct {
	Transport
	progress *progress
}

// AppendEntries is also Raft's heartbeat; what catches up fast is sent in other
// ways, between two of them.
func (l listening) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := l.Transport.AppendEntries(id, target, args, resp)
	if err == nil {
		l.progress.set(string(id), resp.LastLog)
	}
	return err
}

// progress is the last log index of each other manager, by node ID, as of its
// last answer.
type progress struct {
	mu   sync.Mutex
	last map[string]uint64
	at   map[string]time.Time
}

func (p *progress) set(nodeID string, index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last, p.at = map[string]uint64{}, map[string]time.Time{}
	}
	p.last[nodeID], p.at[nodeID] = index, time.Now()
}

// heard is when the manager last answered; zero when it never did.
func (p *progress) heard(nodeID string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[nodeID]
}

func (p *progress) of(nodeID string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[nodeID]
}
