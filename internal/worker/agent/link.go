package agent

import (
	"errors"
	"sync"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// errNoManager is returned by what needs a manager while none answers.
var errNoManager = errors.New("no manager answers")

// manager is whom this worker has a session with.
type manager struct {
	client    warrenv1.DispatcherClient
	nodeID    string
	clusterID string
}

// link holds the manager of the present session.
type link struct {
	mu  sync.Mutex
	now *manager
}

func (l *link) set(m *manager) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = m
}

// manager returns errNoManager when there is no session.
func (l *link) manager() (*manager, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		return nil, errNoManager
	}
	return l.now, nil
}
