package spec

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// A log that is read again after the connection was lost goes on where it was,
// also between lines that were written in the same moment.
func TestAReadingThatWasCutOffGoesOn(t *testing.T) {
	start := time.Unix(1000, 0)
	line := func(task string, second int, text string) *warrenv1.LogEntry {
		return &warrenv1.LogEntry{TaskId: task, Time: timestamppb.New(start.Add(time.Duration(second) * time.Second)), Line: []byte(text)}
	}
	log := []*warrenv1.LogEntry{
		line("t1", 0, "a"), line("t1", 1, "b"), line("t1", 1, "c"), line("t1", 1, "d"), line("t1", 2, "e"),
		line("t2", 0, "long ago"), line("t2", 9, "f"),
	}
	u := Unread{}
	var got []string
	read := func(entries []*warrenv1.LogEntry) {
		u.Begin()
		for _, e := range entries {
			if u.Is(e) {
				got = append(got, string(e.GetLine()))
			}
		}
	}
	read(log[:3])
	u.Since = start.Add(5 * time.Second) // what came before was not asked for
	read(log[:3])
	read(log[:4])
	read(log)
	read(log)
	if all := strings.Join(got, ""); all != "abcdef" {
		t.Errorf("read %q", all)
	}
}
