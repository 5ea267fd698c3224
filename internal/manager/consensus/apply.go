package consensus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

// maxKey is below what BoltDB takes.
const maxKey = 4096

// write is one row as it will be; a nil row deletes.
type write struct {
	key, row []byte
}

// pending is what a log entry does to the state: first all of it is worked out,
// then it is written, so that an entry happens as a whole or not at all. The
// outcome depends on nothing but the state and the entry, since every manager
// must come to the same.
type pending struct {
	state *bolt.Bucket
	index uint64
	// rows are the writes so far, in order; at finds them by key.
	rows []write
	at   map[string]int
}

// plan works out an entry. The errors are store.ErrConflict, store.ErrLimit and
// store.ErrMalformed: nothing is to be written.
func plan(state *bolt.Bucket, index uint64, entry []byte) ([]write, error) {
	var t storepb.Transaction
	if err := proto.Unmarshal(entry, &t); err != nil {
		return nil, store.ErrMalformed
	}
	for _, g := range t.Guards {
		if version(state.Get(g.GetKey())) != g.GetVersion() {
			return nil, fmt.Errorf("%w: %s", store.ErrConflict, g.GetKey())
		}
	}
	p := &pending{state: state, index: index, at: map[string]int{}}
	for _, op := range t.Operations {
		if err := p.do(op); err != nil {
			return nil, err
		}
	}
	return p.rows, nil
}

func (p *pending) do(op *storepb.Operation) error {
	key := op.GetKey()
	if len(key) == 0 || len(key) > maxKey {
		return store.ErrMalformed
	}
	switch kind := op.Kind.(type) {
	case *storepb.Operation_Put:
		p.put(key, kind.Put)
	case *storepb.Operation_Delete:
		p.set(key, nil)
	case *storepb.Operation_Add:
		return p.add(key, kind.Add)
	case *storepb.Operation_Append:
		return p.append(key, kind.Append)
	default:
		return store.ErrMalformed
	}
	return nil
}

func (p *pending) set(key, row []byte) {
	if i, ok := p.at[string(key)]; ok {
		p.rows[i].row = row
		return
	}
	p.at[string(key)] = len(p.rows)
	p.rows = append(p.rows, write{key, row})
}

// put prefixes the row with its version.
func (p *pending) put(key, row []byte) {
	stored := make([]byte, 8, 8+len(row))
	binary.BigEndian.PutUint64(stored, p.index)
	p.set(key, append(stored, row...))
}

// get is the row as the entry sees it, without its version; nil when absent.
func (p *pending) get(key []byte) []byte {
	stored := p.state.Get(key)
	if i, ok := p.at[string(key)]; ok {
		stored = p.rows[i].row
	}
	return payload(stored)
}

func (p *pending) counter(key []byte) (uint64, error) {
	row := p.get(key)
	if row == nil {
		return 0, nil
	}
	if len(row) != 8 {
		return 0, store.ErrMalformed
	}
	return binary.BigEndian.Uint64(row), nil
}

func (p *pending) setCounter(key []byte, n uint64) {
	p.put(key, binary.BigEndian.AppendUint64(nil, n))
}

func (p *pending) add(key []byte, add *storepb.Add) error {
	n, err := p.counter(key)
	if err != nil {
		return err
	}
	delta := add.GetDelta()
	switch {
	case delta < 0:
		down := uint64(-(delta + 1)) + 1 // -delta overflows for the smallest
		if n < down {
			return store.ErrLimit
		}
		n -= down
	case n > math.MaxUint64-uint64(delta):
		return store.ErrLimit
	default:
		n += uint64(delta)
	}
	if n > add.GetLimit() {
		return store.ErrLimit
	}
	p.setCounter(key, n)
	return nil
}

func (p *pending) append(head []byte, a *storepb.Append) error {
	counter := store.ListCounter(head)
	last, err := p.counter(counter)
	if err != nil {
		return err
	}
	if last == math.MaxUint64 || len(head)+8 > maxKey {
		return store.ErrLimit
	}
	next := last + 1
	value := a.GetValue()
	if a.GetChain() {
		value = append(seal.Link(p.get(element(head, last)), value), value...)
	}
	p.setCounter(counter, next)
	p.put(element(head, next), value)
	// The old end is another page of the file: what goes there goes together.
	if keep := a.GetKeep(); keep > 0 && next > keep && next%max(keep/dropParts, 1) == 0 {
		p.drop(head, next-keep, a.GetChain())
	}
	return nil
}

// dropParts: a list grows by that part of what it keeps before its old end is
// cut.
const dropParts = 128

// drop deletes the elements up to and including number last; of a chain it
// leaves that one's hash, without which the next could not be checked.
func (p *pending) drop(head []byte, last uint64, chained bool) {
	if chained {
		if newest := p.get(element(head, last)); len(newest) > seal.LinkSize {
			p.put(element(head, last), bytes.Clone(newest[:seal.LinkSize]))
		}
		last--
	}
	p.dropThrough(head, last)
}

// dropThrough deletes the elements up to and including number last.
func (p *pending) dropThrough(head []byte, last uint64) {
	first := element(head, 0)
	cursor := p.state.Cursor()
	for key, _ := cursor.Seek(first); len(key) == len(first) && bytes.HasPrefix(key, head); key, _ = cursor.Next() {
		if binary.BigEndian.Uint64(key[len(head):]) > last {
			break
		}
		p.set(bytes.Clone(key), nil)
	}
	// Elements that this very entry appended are not in the bucket yet.
	for _, w := range p.rows {
		if len(w.key) == len(first) && bytes.HasPrefix(w.key, head) && binary.BigEndian.Uint64(w.key[len(head):]) <= last {
			p.set(w.key, nil)
		}
	}
}

func element(head []byte, number uint64) []byte {
	key := make([]byte, len(head), len(head)+8)
	copy(key, head)
	return binary.BigEndian.AppendUint64(key, number)
}

// version is the index of the entry that wrote the row; 0 when absent.
func version(stored []byte) uint64 {
	if len(stored) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(stored)
}

func payload(stored []byte) []byte {
	if len(stored) < 8 {
		return nil
	}
	return stored[8:]
}
