package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

// auditLog is a log of n records, as a manager keeps it, of which it dropped
// some.
func auditLog(n, dropped int) (log []*warrenv1.AuditEntry) {
	var before []byte
	for i := range n {
		e := &warrenv1.AuditEntry{Sequence: uint64(i + 1), Record: fmt.Append(nil, "record ", i+1)}
		e.Hash = seal.Link(before, e.Record)
		before = e.Hash
		log = append(log, e)
	}
	if dropped > 0 {
		log = log[dropped-1:]
		log[0].Record = nil
	}
	return log
}

func check(log []*warrenv1.AuditEntry, head, keep uint64) (*AuditChain, error) {
	c := &AuditChain{}
	for _, e := range log {
		if err := c.Add(e); err != nil {
			return c, err
		}
	}
	return c, c.End(head, keep)
}

func TestAnAuditLogHolds(t *testing.T) {
	for _, dropped := range []int{0, 1, 4} {
		c, err := check(auditLog(6, dropped), 6, 6-uint64(dropped))
		if err != nil || c.First != uint64(dropped)+1 || c.Last() != 6 {
			t.Errorf("%d dropped: from %d to %d, %v", dropped, c.First, c.Last(), err)
		}
	}
	if c, err := check(nil, 0, 6); err != nil || c.Last() != 0 {
		t.Errorf("an empty log: %v", err)
	}
}

func TestABrokenAuditLogIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		dropped int
		breakIt func([]*warrenv1.AuditEntry) []*warrenv1.AuditEntry
		says    string
	}{
		"an edited record": {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry {
			l[2].Record[0] ^= 1
			return l
		}, "record 3,"},
		"an edited hash": {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry {
			l[2].Hash[0] ^= 1
			return l
		}, "record 3,"},
		"an edited record with its hash": {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry {
			l[2].Record[0] ^= 1
			l[2].Hash = seal.Link(l[1].Hash, l[2].Record)
			return l
		}, "record 4,"},
		"two that changed places": {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry {
			l[2].Record, l[3].Record = l[3].Record, l[2].Record
			l[2].Hash, l[3].Hash = l[3].Hash, l[2].Hash
			return l
		}, "record 3,"},
		"one that is left out":  {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return slices.Delete(l, 2, 3) }, "record 3 is missing"},
		"the first left out":    {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return l[1:] }, "record 1 is missing"},
		"the oldest kept":       {3, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { l[1].Record[0] ^= 1; return l }, "record 4,"},
		"the anchor left out":   {3, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return l[1:] }, "record 3 is missing"},
		"the newest left out":   {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return l[:5] }, "record 6 is missing"},
		"all left out":          {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return nil }, "record 1 is missing"},
		"one that was cut off":  {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { l[2].Hash = l[2].Hash[:7]; return l }, "record 3 is cut off"},
		"more dropped than is":  {2, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { l[1].Record = nil; return l[1:] }, "before 4 are missing"},
		"all emptied":           {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { l[5].Record = nil; return l[5:] }, "before 7 are missing"},
		"an emptied one":        {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { l[2].Record = nil; return l }, "record 3,"},
		"one that came between": {0, func(l []*warrenv1.AuditEntry) []*warrenv1.AuditEntry { return slices.Insert(l, 2, l[4]) }, "record 3 is missing"},
	} {
		_, err := check(c.breakIt(auditLog(6, c.dropped)), 6, 6-uint64(c.dropped))
		if !errors.Is(err, ErrChain) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever computes all hashes anew is found out by who noted one down.
func TestALogThatWasWrittenAnewIsNoticed(t *testing.T) {
	noted := auditLog(6, 0)[4]
	c := &AuditChain{}
	c.Know(noted.GetSequence(), noted.GetHash())
	for _, e := range auditLog(9, 2) {
		if err := c.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	c = &AuditChain{}
	c.Know(noted.GetSequence(), noted.GetHash())
	var before []byte
	var err error
	for i := range 9 {
		e := &warrenv1.AuditEntry{Sequence: uint64(i + 1), Record: []byte("another")}
		e.Hash = seal.Link(before, e.Record)
		before = e.Hash
		if err = c.Add(e); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "record 5 is not the one that was noted") {
		t.Errorf("got %v", err)
	}
	c = &AuditChain{}
	c.Know(7, make([]byte, seal.LinkSize))
	for _, e := range auditLog(6, 0) {
		if err := c.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.End(6, 6); !errors.Is(err, ErrChain) {
		t.Errorf("a log that is shorter than what was noted: %v", err)
	}
}
