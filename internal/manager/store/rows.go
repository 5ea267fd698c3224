package store

import (
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"
)

// Message is the pointer to a generated message type T.
type Message[T any] interface {
	*T
	proto.Message
}

// kind is what the store knows of one table.
type kind[T any, P Message[T]] struct {
	table Table
	// depth is the number of parts of a key.
	depth int
	// indexes follow every write.
	indexes []index[T, P]
	// witnessed rows are vouched for: what was changed by others is not read.
	witnessed bool
	// transient clears the fields that are filled in on reading and stored
	// elsewhere; nil when there are none.
	transient func(P)
	// check refuses rows that must not be written now; nil when any may be.
	check func(*Tx, P) error
}

// index is a table whose keys lead to rows of another; its rows are empty.
type index[T any, P Message[T]] struct {
	table Table
	// entry is the index's key for a row, or nil when it has none.
	entry func(Key, P) []string
	// target is the row's key for an entry of the index.
	target func(Key) []string
}

// Rows reads a table. Wherever it takes parts they are those of the table's
// key, in the order of the package comment.
type Rows[T any, P Message[T]] struct {
	tx   *ReadTx
	kind *kind[T, P]
	// unchecked rows are read even if nobody vouches for them.
	unchecked bool
}

// RowsTx reads and writes a table.
type RowsTx[T any, P Message[T]] struct {
	Rows[T, P]
	tx *Tx
}

func rows[T any, P Message[T]](tx *ReadTx, k *kind[T, P]) Rows[T, P] {
	return Rows[T, P]{tx: tx, kind: k}
}

func rowsTx[T any, P Message[T]](tx *Tx, k *kind[T, P]) RowsTx[T, P] {
	return RowsTx[T, P]{Rows[T, P]{tx: &tx.ReadTx, kind: k}, tx}
}

// Get returns a row of the caller's own, and in an Update makes the transaction
// depend on it, or on its absence. ErrNotFound when there is none.
func (r Rows[T, P]) Get(parts ...string) (P, error) { return r.read(parts, true) }

// Peek is Get without making the transaction depend on the row.
func (r Rows[T, P]) Peek(parts ...string) (P, error) { return r.read(parts, false) }

func (r Rows[T, P]) read(parts []string, guarded bool) (P, error) {
	key, err := r.kind.key(parts)
	if err != nil {
		return nil, err
	}
	raw := r.tx.get(key, guarded)
	if raw == nil {
		return nil, fmt.Errorf("%s %s: %w", r.kind.table, KeyOf(parts...), ErrNotFound)
	}
	return r.trusted(key, raw)
}

// trusted decodes a row that somebody vouches for, if that is asked of it.
func (r Rows[T, P]) trusted(key string, raw []byte) (P, error) {
	if r.kind.witnessed && !r.unchecked {
		if err := r.tx.vouched(key, raw); err != nil {
			return nil, err
		}
	}
	return r.kind.decode(key, raw)
}

// List goes through the rows whose keys start with the parts (all without any),
// in the order of their keys. Rows are decoded as they are reached. A row that
// cannot be decoded is left out and fails the View or the Update.
func (r Rows[T, P]) List(parts ...string) iter.Seq2[Key, P] {
	return func(yield func(Key, P) bool) {
		for key, raw := range r.tx.scan(r.kind.table.prefix(parts)) {
			row, err := r.trusted(key, raw)
			if err != nil {
				r.tx.fail(err)
				continue
			}
			if _, k := splitKey(key); !yield(k, row) {
				return
			}
		}
	}
}

// Keys is List without decoding rows.
func (r Rows[T, P]) Keys(parts ...string) iter.Seq[Key] { return r.tx.keys(r.kind.table, parts) }

// Put writes a row, whether it exists or not.
func (r RowsTx[T, P]) Put(row P, parts ...string) error {
	key, err := r.kind.key(parts)
	if err != nil {
		return err
	}
	if r.kind.check != nil {
		if err := r.kind.check(r.tx, row); err != nil {
			return fmt.Errorf("%s %s: %w", r.kind.table, KeyOf(parts...), err)
		}
	}
	if err := r.reindex(key, KeyOf(parts...), row); err != nil {
		return err
	}
	if r.kind.transient != nil {
		row = proto.CloneOf(row)
		r.kind.transient(row)
	}
	raw, err := proto.Marshal(row)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.kind.table, KeyOf(parts...), err)
	}
	r.tx.put(key, raw)
	if r.kind.witnessed {
		return r.tx.attest(key, raw)
	}
	return nil
}

// Delete removes a row if it exists.
func (r RowsTx[T, P]) Delete(parts ...string) error {
	key, err := r.kind.key(parts)
	if err != nil {
		return err
	}
	if err := r.reindex(key, KeyOf(parts...), nil); err != nil {
		return err
	}
	r.tx.delete(key)
	if r.kind.witnessed {
		return r.tx.attest(key, nil)
	}
	return nil
}

// reindex makes the indexes follow a row that is written or, as nil, deleted.
// They depend on the row they replace, so it is guarded.
func (r RowsTx[T, P]) reindex(key string, k Key, row P) error {
	if len(r.kind.indexes) == 0 {
		return nil
	}
	var old P
	if raw := r.tx.get(key, true); raw != nil {
		var err error
		if old, err = r.kind.decode(key, raw); err != nil {
			return err
		}
	}
	for _, ix := range r.kind.indexes {
		before, err := ix.key(k, old)
		if err != nil {
			return err
		}
		after, err := ix.key(k, row)
		if err != nil {
			return err
		}
		if before != "" && before != after {
			r.tx.delete(before)
		}
		if after != "" && before != after {
			r.tx.put(after, nil)
		}
	}
	return nil
}

func (ix index[T, P]) key(k Key, row P) (string, error) {
	if row == nil {
		return "", nil
	}
	parts := ix.entry(k, row)
	if parts == nil {
		return "", nil
	}
	return rowKey(ix.table, parts)
}

// through lists the rows that an index leads to.
func (r Rows[T, P]) through(ix *index[T, P], parts ...string) iter.Seq2[Key, P] {
	return func(yield func(Key, P) bool) {
		for entry := range r.tx.keys(ix.table, parts) {
			target := ix.target(entry)
			row, err := r.Peek(target...)
			if err != nil {
				r.tx.fail(fmt.Errorf("index %s: %w", ix.table, err))
				continue
			}
			if !yield(KeyOf(target...), row) {
				return
			}
		}
	}
}

func (tx *ReadTx) keys(t Table, parts []string) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for key := range tx.scan(t.prefix(parts)) {
			if _, k := splitKey(key); !yield(k) {
				return
			}
		}
	}
}

// prefix ends in "/", so that a part is never taken for the start of another.
func (t Table) prefix(parts []string) string {
	if len(parts) == 0 {
		return string(t) + "/"
	}
	return string(t) + "/" + string(KeyOf(parts...)) + "/"
}

func (k *kind[T, P]) key(parts []string) (string, error) {
	if len(parts) != k.depth {
		return "", fmt.Errorf("a key of table %s has %d parts, not %d", k.table, k.depth, len(parts))
	}
	return rowKey(k.table, parts)
}

func (k *kind[T, P]) decode(key string, raw []byte) (P, error) {
	row := P(new(T))
	if err := proto.Unmarshal(raw, row); err != nil {
		return nil, fmt.Errorf("the row %q cannot be read: %w: %w", key, ErrAltered, err)
	}
	return row, nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
