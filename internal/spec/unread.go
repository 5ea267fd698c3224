package spec

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Unread tells, of logs that are read again from their beginning, what was not
// read before.
type Unread struct {
	// Since is from when on lines of a task count of which none was read.
	Since time.Time
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

// Begin starts another reading.
func (u *Unread) Begin() { u.again = map[string]int{} }

// Is tells whether a line was not read before, and takes it as read.
func (u *Unread) Is(e *warrenv1.LogEntry) bool {
	id, at := e.GetTaskId(), e.GetTime().AsTime()
	last, known := u.read[id]
	switch {
	case !known && at.Before(u.Since), known && at.Before(last.at):
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
