package store

import (
	"encoding/binary"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store/storepb"
)

// TableEvents is the list of what happened. Its keys say nothing to watchers.
const TableEvents Table = "event"

// KeepEvents is how many events are kept; the oldest go first.
const KeepEvents = 10000

// Events reads what happened.
type Events struct{ tx *ReadTx }

// EventsTx reads what happened and appends to it.
type EventsTx struct {
	Events
	tx *Tx
}

// Events gives what happened.
func (tx *ReadTx) Events() Events { return Events{tx} }

// Events gives what happened.
func (tx *Tx) Events() EventsTx { return EventsTx{Events{&tx.ReadTx}, tx} }

// After lists the events whose sequence is above the given one, oldest first;
// 0 gives all that are kept. Events of the running transaction are not among
// them.
func (e Events) After(sequence uint64) iter.Seq[*warrenv1.Event] {
	return func(yield func(*warrenv1.Event) bool) {
		head := []byte(TableEvents.prefix(nil))
		from := binary.BigEndian.AppendUint64(head, sequence+1)
		for key, raw := range e.tx.snapshot.Seek(head, from) {
			if len(key) != len(from) {
				continue // the counter
			}
			event := &warrenv1.Event{}
			if err := proto.Unmarshal(raw, event); err != nil {
				e.tx.fail(fmt.Errorf("event %x cannot be read: %w", key[len(head):], err))
				continue
			}
			event.Sequence = binary.BigEndian.Uint64(key[len(head):])
			if !yield(event) {
				return
			}
		}
	}
}

// Append adds an event; its sequence is given when the transaction is applied.
func (e EventsTx) Append(event *warrenv1.Event) error {
	event = proto.CloneOf(event)
	event.Sequence = 0
	raw, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("event %s of %s %s: %w", event.Reason, event.Kind, event.Name, err)
	}
	e.tx.append(&storepb.Operation{
		Key:  []byte(TableEvents.prefix(nil)),
		Kind: &storepb.Operation_Append{Append: &storepb.Append{Value: raw, Keep: KeepEvents}},
	})
	return nil
}
