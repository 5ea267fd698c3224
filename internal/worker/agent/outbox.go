package agent

import (
	"cmp"
	"slices"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// lettersPerReport keeps a report to what a manager commits at once.
	lettersPerReport = 200
	// calmDelay is how long a status that soon changes again may wait to be
	// replaced, so that a quick start costs one report instead of three.
	calmDelay = 100 * time.Millisecond
	// eventsKept bounds what piles up while no manager answers.
	eventsKept = 1000
)

// outbox has what a manager does not know for sure yet: of each task and
// volume the newest status only, and every event. A letter stays until the
// report that carried it is acknowledged. The zero value is not ready; use
// newOutbox.
type outbox struct {
	mu       sync.Mutex
	letters  map[string]*letter
	put      uint64 // counts puts: the order of letters
	sequence uint64 // of the last report
	news     chan struct{}
}

type letter struct {
	order uint64
	// sent is the sequence of the report that carried it; 0 for none in this
	// session.
	sent    uint64
	content func(*warrenv1.Report)
	event   bool
	// calm: it need not be sent at once.
	calm bool
}

func newOutbox() *outbox {
	return &outbox{letters: map[string]*letter{}, news: make(chan struct{}, 1)}
}

func (o *outbox) task(s *warrenv1.TaskStatus) {
	passing := s.GetMessage() == "" && (s.GetState() == warrenv1.TaskState_TASK_STATE_PREPARING || s.GetState() == warrenv1.TaskState_TASK_STATE_STARTING)
	o.post("task/"+s.GetTaskId(), &letter{calm: passing, content: func(r *warrenv1.Report) { r.Tasks = append(r.Tasks, s) }})
}

func (o *outbox) volume(s *warrenv1.VolumeStatus) {
	o.post("volume/"+s.GetVolumeId(), &letter{content: func(r *warrenv1.Report) { r.Volumes = append(r.Volumes, s) }})
}

func (o *outbox) snapshot(s *warrenv1.SnapshotStatus) {
	o.post("snapshot/"+s.GetSnapshotId(), &letter{content: func(r *warrenv1.Report) { r.Snapshots = append(r.Snapshots, s) }})
}

func (o *outbox) event(e *warrenv1.Event) {
	o.post("", &letter{event: true, content: func(r *warrenv1.Report) { r.Events = append(r.Events, e) }})
}

// post puts a letter in the place of an older one with the same key; events
// have none.
func (o *outbox) post(key string, l *letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put++
	l.order = o.put
	if l.event {
		key = "event/" + string(l.orderKey())
		o.dropOldEvents()
	}
	o.letters[key] = l
	if l.calm {
		time.AfterFunc(calmDelay, o.ring)
		return
	}
	o.ring()
}

// ring says that there is something to send.
func (o *outbox) ring() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

func (l *letter) orderKey() []byte {
	key := make([]byte, 8)
	for i := range key {
		key[i] = byte(l.order >> (56 - 8*i))
	}
	return key
}

func (o *outbox) dropOldEvents() {
	count, oldest, order := 0, "", ^uint64(0)
	for key, l := range o.letters {
		if !l.event {
			continue
		}
		if count++; l.order < order {
			oldest, order = key, l.order
		}
	}
	if count >= eventsKept {
		delete(o.letters, oldest)
	}
}

// next returns a report of what was not sent in this session, nil when there
// is nothing.
func (o *outbox) next() *warrenv1.Report {
	o.mu.Lock()
	defer o.mu.Unlock()
	var unsent []*letter
	for _, l := range o.letters {
		if l.sent == 0 {
			unsent = append(unsent, l)
		}
	}
	if len(unsent) == 0 {
		return nil
	}
	slices.SortFunc(unsent, func(a, b *letter) int { return cmp.Compare(a.order, b.order) })
	o.sequence++
	report := &warrenv1.Report{Sequence: o.sequence}
	for _, l := range unsent[:min(len(unsent), lettersPerReport)] {
		l.sent = o.sequence
		l.content(report)
	}
	return report
}

// acknowledge drops what reports up to that sequence carried. What changed
// after it was sent is a new letter and stays.
func (o *outbox) acknowledge(sequence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, l := range o.letters {
		if l.sent != 0 && l.sent <= sequence {
			delete(o.letters, key)
		}
	}
}

// rewind begins a new session: what was not acknowledged will be sent again.
func (o *outbox) rewind() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.letters {
		l.sent = 0
	}
}
