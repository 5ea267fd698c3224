package client

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

// ErrChain is in the error of whatever breaks the audit log's chain.
var ErrChain = errors.New("the audit log was altered")

// AuditChain checks the audit log link by link, from its first entry on. It
// trusts nothing that the manager says of it.
type AuditChain struct {
	last *warrenv1.AuditEntry
	// First is the number of the oldest record, 0 before there is one.
	First uint64
	known map[uint64][]byte
}

// Know makes the chain hold only if the entry with that number has that hash,
// which somebody noted down before: a log that was written anew as a whole
// shows by that alone.
func (c *AuditChain) Know(sequence uint64, hash []byte) {
	if c.known == nil {
		c.known = map[uint64][]byte{}
	}
	c.known[sequence] = hash
}

// Add checks the next entry. The error names the first one that is not what it
// was.
func (c *AuditChain) Add(e *warrenv1.AuditEntry) error {
	if want := c.Last() + 1; c.last != nil && e.GetSequence() != want {
		return fmt.Errorf("%w: record %d is missing", ErrChain, want)
	}
	switch {
	case len(e.GetHash()) != seal.LinkSize:
		return fmt.Errorf("%w: record %d is cut off", ErrChain, e.GetSequence())
	case c.last == nil && e.GetSequence() > 1 && len(e.GetRecord()) > 0:
		return fmt.Errorf("%w: record %d is missing", ErrChain, e.GetSequence()-1)
	case c.last == nil && len(e.GetRecord()) == 0: // what the oldest kept record is chained to
	case !bytes.Equal(seal.Link(c.last.GetHash(), e.GetRecord()), e.GetHash()):
		return fmt.Errorf("%w: record %d, or the one before it, is not what was written", ErrChain, e.GetSequence())
	}
	if hash, known := c.known[e.GetSequence()]; known && !bytes.Equal(hash, e.GetHash()) {
		return fmt.Errorf("%w: record %d is not the one that was noted", ErrChain, e.GetSequence())
	}
	if c.First == 0 && len(e.GetRecord()) > 0 {
		c.First = e.GetSequence()
	}
	c.last = e
	return nil
}

// End checks that the chain reaches as far as it should in both directions, and
// what was noted. Keep is how many records a log does not drop.
func (c *AuditChain) End(head, keep uint64) error {
	if c.Last() < head {
		return fmt.Errorf("%w: record %d is missing", ErrChain, c.Last()+1)
	}
	oldest := c.First
	if oldest == 0 {
		oldest = c.Last() + 1
	}
	if oldest > 1 && c.Last()+1-oldest < keep {
		return fmt.Errorf("%w: the records before %d are missing", ErrChain, oldest)
	}
	for sequence := range c.known {
		if sequence > c.Last() {
			return fmt.Errorf("%w: record %d, which was noted, is missing", ErrChain, sequence)
		}
	}
	return nil
}

// Last is the newest entry's number.
func (c *AuditChain) Last() uint64 { return c.last.GetSequence() }

// Mark names the newest entry and, by its hash, all before it.
func (c *AuditChain) Mark() string {
	return fmt.Sprintf("%d:%s", c.Last(), hex.EncodeToString(c.last.GetHash()))
}
