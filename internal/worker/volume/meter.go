package volume

import (
	"context"
	"log/slog"
	"time"
)

// Measured is how full a volume was at a time.
type Measured struct {
	Volume Volume
	Usage
	At time.Time
}

const (
	// A volume that is new or changes in size is measured again after
	// meterSoon; one that stays as it is, ever more rarely, up to meterPause.
	meterSoon  = 5 * time.Second
	meterPause = time.Minute
	// Measuring takes one in meterShare of the time that passes at most.
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
	// The last measurement of each volume, by ID.
	last map[string]measurement
}

// measurement is what one turn of a volume gave, and what follows from it.
type measurement struct {
	id    string
	usage Usage
	// The next is at due, after pause.
	pause time.Duration
	due   time.Time
}

// NewMeter returns a Meter, which works once Run is called.
func NewMeter(m *Manager, volumes func() []Volume, report func(Measured), log *slog.Logger) *Meter {
	return &Meter{
		manager: m, volumes: volumes, report: report, log: log,
		poke: make(chan struct{}, 1), last: map[string]measurement{},
	}
}

// Poke makes Run look for volumes that were never measured now.
func (m *Meter) Poke() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// Run measures until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	done := make(chan measurement)
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
			m.last[t.id] = t
		case <-m.poke:
		case <-timer.C:
		}
		next := m.start(ctx, busy, done)
		timer.Reset(time.Until(next))
	}
}

// start begins as many measurements as are due and allowed, and returns when
// the next one is due.
func (m *Meter) start(ctx context.Context, busy map[string]bool, done chan<- measurement) time.Time {
	now := time.Now()
	next := now.Add(meterPause)
	known := map[string]measurement{}
	for _, v := range m.volumes() {
		last := m.last[v.ID]
		known[v.ID] = last
		switch {
		case busy[v.ID]:
		case last.due.After(now):
			if last.due.Before(next) {
				next = last.due
			}
		case len(busy) < meterWidth:
			busy[v.ID] = true
			go func() { done <- m.measure(ctx, v, last) }()
		}
		// What is due but not allowed starts when a running one is done.
	}
	m.last = known
	return next
}

// measure reports one volume and returns when to do it again.
func (m *Meter) measure(ctx context.Context, v Volume, last measurement) measurement {
	began := time.Now()
	usage, err := m.manager.Usage(ctx, v)
	now := time.Now()
	next := measurement{id: v.ID, usage: usage, pause: meterSoon}
	switch {
	case err == nil:
		m.report(Measured{v, usage, now})
		if usage == last.usage {
			next.pause = min(max(2*last.pause, meterSoon), meterPause)
		}
	case ctx.Err() == nil:
		m.log.Debug("volume not measured", "volume", v.Name, "error", err)
		next.usage, next.pause = last.usage, meterPause
	}
	next.due = now.Add(max(next.pause, meterShare*now.Sub(began)))
	return next
}
