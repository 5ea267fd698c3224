package service

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// unread tells, of logs that are read again from their beginning, what was not
// read before.
type unread struct {
	// since is from when on lines of a task count of which none was read.
	since time.Time
	// read is, by task, the time of the last line, and how many there were of
	// that time.
	read map[string]mark
	// again counts the lines of that time that came in this reading.
	again map[string]int
}

type mark struct {
	at    time.Time
	lines int
}

// begin starts another reading.
func (u *unread) begin() { u.again = map[string]int{} }

// is tells whether a line was not read before, and takes it as read.
func (u *unread) is(e *warrenv1.LogEntry) bool {
	id, at := e.GetTaskId(), e.GetTime().AsTime()
	last, known := u.read[id]
	switch {
	case !known && at.Before(u.since), known && at.Before(last.at):
		return false
	case known && at.Equal(last.at):
		if u.again[id]++; u.again[id] <= last.lines {
			return false
		}
		last.lines++
		u.again[id] = last.lines
	default:
		last = mark{at, 1}
		u.again[id] = 1
	}
	if u.read == nil {
		u.read = map[string]mark{}
	}
	u.read[id] = last
	return true
}
