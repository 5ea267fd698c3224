package agent

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Whatever happens on the way, a manager that acknowledges ends up with the
// newest status of everything and with every event.
func TestOutboxLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOutbox()
		newest := map[string]string{}
		posted := map[string]bool{}
		known := map[string]string{}
		heard := map[string]bool{}
		var flying []*warrenv1.Report
		deliver := func(r *warrenv1.Report) {
			for _, s := range r.GetTasks() {
				known[s.GetTaskId()] = s.GetMessage()
			}
			for _, e := range r.GetEvents() {
				heard[e.GetMessage()] = true
			}
			o.acknowledge(r.GetSequence())
		}
		t.Repeat(map[string]func(*rapid.T){
			"status": func(t *rapid.T) {
				id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "task")
				newest[id] = fmt.Sprint(len(newest[id]), rapid.Int().Draw(t, "message"))
				o.task(&warrenv1.TaskStatus{TaskId: id, Message: newest[id]})
			},
			"event": func(t *rapid.T) {
				message := fmt.Sprint("event ", len(posted))
				posted[message] = true
				o.event(&warrenv1.Event{Message: message})
			},
			"send": func(t *rapid.T) {
				if r := o.next(); r != nil {
					flying = append(flying, r)
				}
			},
			"arrive": func(t *rapid.T) {
				if len(flying) > 0 {
					deliver(flying[0])
					flying = flying[1:]
				}
			},
			"new session": func(*rapid.T) { flying = nil; o.rewind() },
		})
		o.rewind()
		for r := o.next(); r != nil; r = o.next() {
			deliver(r)
		}
		if r := o.next(); r != nil || len(o.letters) != 0 {
			t.Fatalf("something is left: %v", r)
		}
		for id, message := range newest {
			if known[id] != message {
				t.Fatalf("of %s the manager knows %q instead of %q", id, known[id], message)
			}
		}
		if len(heard) != len(posted) {
			t.Fatalf("%d of %d events arrived", len(heard), len(posted))
		}
	})
}

func TestReportsAreBounded(t *testing.T) {
	o := newOutbox()
	for i := range 2*lettersPerReport + 1 {
		o.task(&warrenv1.TaskStatus{TaskId: fmt.Sprint(i)})
	}
	for _, want := range []int{lettersPerReport, lettersPerReport, 1} {
		if r := o.next(); len(r.GetTasks()) != want {
			t.Errorf("%d statuses in a report, want %d", len(r.GetTasks()), want)
		}
	}
}

func TestOldEventsGiveWayWhenNobodyListens(t *testing.T) {
	o := newOutbox()
	for i := range eventsKept + 10 {
		o.event(&warrenv1.Event{Message: fmt.Sprint(i)})
	}
	if r := o.next(); len(o.letters) != eventsKept || r.GetEvents()[0].GetMessage() != "10" {
		t.Errorf("%d letters, the first %v", len(o.letters), r.GetEvents()[0])
	}
}
