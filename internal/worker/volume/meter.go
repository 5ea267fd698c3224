package volume

import (
	"context"
	"log/slog"
	"time"
)

// Measured is how much storage a volume took at a time.
type Measured struct {
	Volume Volume
	Bytes  uint64
	At     time.Time
}

const (
	// A volume is measured again after meterPause, or after measuring took
	// meterShare of the time that passed, whichever is later.
	meterPause = time.Minute
	meterShare = 100
	// How many volumes are measured at once.
	meterWidth = 2
)

// Meter measures volumes again and again in the background, at a hundredth of
// the machine's time at most, so that nobody who asks for a volume's size waits
// for it.
type Meter struct {
	manager *Manager
	// volumes lists what there is to measure now.
	volumes func() []Volume
	// report takes each result; it must not block.
	report func(Measured)
	log    *slog.Logger
	poke   chan struct{}
	// When each volume, by ID, is to be measured next.
	due map[string]time.Time
}

// NewMeter returns a Meter, which works once Run is called.
func NewMeter(m *Manager, volumes func() []Volume, report func(Measured), log *slog.Logger) *Meter {
	return &Meter{
		manager: m, volumes: volumes, report: report, log: log,
		poke: make(chan struct{}, 1), due: map[string]time.Time{},
	}
}

// Poke makes Run look for volumes that were never measured now.
func (m *Meter) Poke() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

type turnOver struct {
	id   string
	next time.Time
}

// Run measures until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	done := make(chan turnOver)
	busy := map[string]bool{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for range busy {
				<-done
			}
			return nil
		case t := <-done:
			delete(busy, t.id)
			m.due[t.id] = t.next
		case <-m.poke:
		case <-timer.C:
		}
		next := m.start(ctx, busy, done)
		timer.Reset(time.Until(next))
	}
}

// start begins as many measurements as are due and allowed, and returns when
// the next one is due.
func (m *Meter) start(ctx context.Context, busy map[string]bool, done chan<- turnOver) time.Time {
	now := time.Now()
	next := now.Add(meterPause)
	known := map[string]time.Time{}
	for _, v := range m.volumes() {
		due := m.due[v.ID]
		known[v.ID] = due
		switch {
		case busy[v.ID]:
		case due.After(now):
			if due.Before(next) {
				next = due
			}
		case len(busy) < meterWidth:
			busy[v.ID] = true
			go func() { done <- turnOver{v.ID, m.measure(ctx, v)} }()
		}
		// What is due but not allowed starts when a running one is done.
	}
	m.due = known
	return next
}

// measure reports one volume and returns when to do it again.
func (m *Meter) measure(ctx context.Context, v Volume) time.Time {
	began := time.Now()
	bytes, err := m.manager.Usage(ctx, v)
	now := time.Now()
	if err == nil {
		m.report(Measured{v, bytes, now})
	} else if ctx.Err() == nil {
		m.log.Debug("volume not measured", "volume", v.Name, "error", err)
	}
	return now.Add(max(meterPause, meterShare*now.Sub(began)))
}
