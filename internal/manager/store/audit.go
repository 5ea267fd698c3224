package store

import (
	"encoding/binary"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

// TableAudit is the audit log. Its keys say nothing to watchers.
const TableAudit Table = "audit"

// KeepAudit is how many records are kept; the oldest go first. A record takes
// some 200 bytes.
const KeepAudit = 100000

// Audit reads the audit log.
type Audit struct{ tx *ReadTx }

// AuditTx reads the audit log and appends to it.
type AuditTx struct {
	Audit
	tx *Tx
}

// Audit gives the audit log.
func (tx *ReadTx) Audit() Audit { return Audit{tx} }

// Audit gives the audit log.
func (tx *Tx) Audit() AuditTx { return AuditTx{Audit{&tx.ReadTx}, tx} }

// Head is the number of the newest entry, 0 before the first.
func (a Audit) Head() (uint64, error) {
	row, version := a.tx.snapshot.Get(ListCounter([]byte(TableAudit.prefix(nil))))
	switch {
	case version == 0:
		return 0, nil
	case len(row) != 8:
		return 0, fmt.Errorf("the head of the audit log cannot be read: it has %d bytes", len(row))
	}
	return binary.BigEndian.Uint64(row), nil
}

// After lists the entries above a number, oldest first, as they are stored: one
// that was damaged is listed too, for whoever verifies the chain to see. The
// first of all may be one whose record is no longer kept. Entries of the
// running transaction are not among them.
func (a Audit) After(sequence uint64) iter.Seq[*warrenv1.AuditEntry] {
	return func(yield func(*warrenv1.AuditEntry) bool) {
		head := []byte(TableAudit.prefix(nil))
		from := binary.BigEndian.AppendUint64(head, sequence+1)
		for key, raw := range a.tx.snapshot.Seek(head, from) {
			if len(key) != len(from) {
				continue
			}
			e := &warrenv1.AuditEntry{Sequence: binary.BigEndian.Uint64(key[len(head):])}
			split := min(len(raw), seal.LinkSize)
			e.Hash = append(e.Hash, raw[:split]...)
			e.Record = append(e.Record, raw[split:]...)
			if !yield(e) {
				return
			}
		}
	}
}

// Append adds a record; it is numbered and chained to the one before when the
// transaction is applied, so that those who append never wait for one another.
func (a AuditTx) Append(record *warrenv1.AuditRecord) error {
	raw, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("record that %s %s was %s: %w", record.Kind, record.Name, record.Action, err)
	}
	a.tx.append(&storepb.Operation{
		Key:  []byte(TableAudit.prefix(nil)),
		Kind: &storepb.Operation_Append{Append: &storepb.Append{Value: raw, Chain: true, Keep: KeepAudit}},
	})
	return nil
}
