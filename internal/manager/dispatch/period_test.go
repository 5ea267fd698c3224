package dispatch

import (
	"testing"
	"time"
)

func TestLargeClustersAreHeardLessOften(t *testing.T) {
	for nodes, want := range map[int]time.Duration{
		0: 2 * time.Second, 1: 2 * time.Second, 1000: 2 * time.Second, 2000: 4 * time.Second, 100_000: 10 * time.Second,
	} {
		if got := periodFor(DefaultHeartbeatPeriod, nodes); got != want {
			t.Errorf("%d nodes: %v, want %v", nodes, got, want)
		}
	}
	if got := periodFor(time.Minute, 5000); got != time.Minute {
		t.Errorf("a long period became %v", got)
	}
	term := &term{Dispatcher: &Dispatcher{Config: Config{HeartbeatPeriod: time.Second}}, sessions: map[string]*session{}, slowest: time.Second}
	for i := range 3000 {
		term.sessions[string(rune(i))] = nil
	}
	if told, patience := term.tellPeriod(), term.patience(); told != 3*time.Second || patience != 9*time.Second {
		t.Errorf("told %v, waiting %v", told, patience)
	}
	clear(term.sessions)
	if told, patience := term.tellPeriod(), term.patience(); told != time.Second || patience != 9*time.Second {
		t.Errorf("after it has shrunk: told %v, waiting %v", told, patience)
	}
}
