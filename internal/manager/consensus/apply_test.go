package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/seal"
)

func marshal(t testing.TB, tx *storepb.Transaction) []byte {
	t.Helper()
	raw, err := proto.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func newTestMachine(t testing.TB) *machine {
	t.Helper()
	dir := t.TempDir()
	m, err := newMachine(t.Context(), filepath.Join(dir, "warren.db"), "lineage", &space{dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.close() })
	return m
}

// apply gives the machine its next entry.
func apply(t testing.TB, m *machine, data []byte) error {
	t.Helper()
	err, _ := m.Apply(&raft.Log{Index: m.applied.Load() + 1, Term: 1, Type: raft.LogCommand, Data: data}).(error)
	return err
}

func row(t testing.TB, m *machine, key string) ([]byte, uint64) {
	t.Helper()
	v, err := m.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	raw, version := v.Get([]byte(key))
	return bytes.Clone(raw), version
}

func add(key string, delta int64, limit uint64) *storepb.Operation {
	return &storepb.Operation{Key: []byte(key), Kind: &storepb.Operation_Add{Add: &storepb.Add{Delta: delta, Limit: limit}}}
}

func appendTo(key, value string, chained bool, keep uint64) *storepb.Operation {
	return &storepb.Operation{Key: []byte(key), Kind: &storepb.Operation_Append{
		Append: &storepb.Append{Value: []byte(value), Chain: chained, Keep: keep},
	}}
}

func operations(ops ...*storepb.Operation) *storepb.Transaction {
	return &storepb.Transaction{Operations: ops}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	guarded := func(version uint64, value string) error {
		tx := put("volume/a", value)
		tx.Guards = []*storepb.Guard{{Key: []byte("volume/a"), Version: version}}
		return apply(t, m, marshal(t, tx))
	}
	if err := guarded(0, "one"); err != nil {
		t.Fatal(err)
	}
	_, version := row(t, m, "volume/a")
	for _, stale := range []uint64{0, version - 1, version + 1} {
		if err := guarded(stale, "lost"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("at version %d: %v", stale, err)
		}
	}
	if err := guarded(version, "two"); err != nil {
		t.Error(err)
	}
	if value, _ := row(t, m, "volume/a"); string(value) != "two" {
		t.Errorf("got %q", value)
	}
	if err := apply(t, m, marshal(t, del("volume/a"))); err != nil {
		t.Fatal(err)
	}
	if err := guarded(0, "absent again"); err != nil {
		t.Error(err)
	}
}

func TestBoundedAdd(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	for _, step := range []struct {
		delta  int64
		limit  uint64
		want   uint64
		refuse bool
	}{
		{delta: 7, limit: 10, want: 7},
		{delta: 4, limit: 10, want: 7, refuse: true},
		{delta: 3, limit: 10, want: 10},
		{delta: -11, limit: 10, want: 10, refuse: true},
		{delta: -10, limit: 10, want: 0},
		{delta: -1, limit: math.MaxUint64, want: 0, refuse: true},
		{delta: math.MinInt64, limit: math.MaxUint64, want: 0, refuse: true},
		{delta: math.MaxInt64, limit: math.MaxUint64, want: math.MaxInt64},
		{delta: math.MaxInt64, limit: math.MaxUint64, want: math.MaxUint64 - 1},
		{delta: 2, limit: math.MaxUint64, want: math.MaxUint64 - 1, refuse: true},
	} {
		err := apply(t, m, marshal(t, operations(add("quota/a", step.delta, step.limit))))
		if errors.Is(err, store.ErrLimit) != step.refuse {
			t.Errorf("%+d: %v", step.delta, err)
		}
		raw, _ := row(t, m, "quota/a")
		if got := number(raw); got != step.want {
			t.Errorf("after %+d: %d, not %d", step.delta, got, step.want)
		}
	}
}

func TestARefusedOperationUndoesItsTransaction(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	tx := put("volume/a", "x")
	tx.Operations = append(tx.Operations, appendTo("event/", "x", false, 0), add("quota/a", 2, 1))
	if err := apply(t, m, marshal(t, tx)); !errors.Is(err, store.ErrLimit) {
		t.Fatal(err)
	}
	for _, key := range []string{"volume/a", "event/", "quota/a"} {
		if _, version := row(t, m, key); version != 0 {
			t.Errorf("%s was written", key)
		}
	}
}

func TestAppendKeepsTheNewest(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	for _, value := range []string{"a", "b", "c", "d"} {
		if err := apply(t, m, marshal(t, operations(appendTo("event/", value, false, 3)))); err != nil {
			t.Fatal(err)
		}
	}
	// Two in one transaction, and a lower keep.
	if err := apply(t, m, marshal(t, operations(appendTo("event/", "e", false, 3), appendTo("event/", "f", false, 2)))); err != nil {
		t.Fatal(err)
	}
	v, err := m.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var got []string
	for key, value := range v.Scan([]byte("event/")) {
		if len(key) > len("event/")+1 { // not the counter
			got = append(got, string(value)+string('0'+rune(key[len(key)-1])))
		}
	}
	if len(got) != 2 || got[0] != "e5" || got[1] != "f6" {
		t.Errorf("kept %v", got)
	}
}

func TestALongListIsCutManyAtATime(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	const keep = 4 * dropParts
	var ops []*storepb.Operation
	for range keep + 7 {
		ops = append(ops, appendTo("event/", "x", false, keep))
	}
	count := func() (n int) {
		v, err := m.view()
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for range v.Scan([]byte("event/")) {
			n++
		}
		return n - 1 // the counter
	}
	for range 3 {
		if err := apply(t, m, marshal(t, operations(ops...))); err != nil {
			t.Fatal(err)
		}
		if n := count(); n < keep || n >= keep+4 {
			t.Errorf("%d are kept, and %d was asked for", n, keep)
		}
	}
}

func TestAChainBindsEachElementToTheOneBefore(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	for _, value := range []string{"first", "second"} {
		if err := apply(t, m, marshal(t, operations(appendTo("audit/", value, true, 0)))); err != nil {
			t.Fatal(err)
		}
	}
	before := make([]byte, sha256.Size)
	for i, value := range []string{"first", "second"} {
		stored, _ := row(t, m, string(binary.BigEndian.AppendUint64([]byte("audit/"), uint64(i+1))))
		hash := sha256.Sum256(append(before, value...))
		if !bytes.Equal(stored, append(hash[:], value...)) {
			t.Errorf("element %d is %q", i+1, stored)
		}
		before = hash[:]
	}
}

func TestEntriesAreAppliedOnce(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	entry := &raft.Log{Index: 5, Term: 1, Type: raft.LogCommand, Data: marshal(t, operations(add("quota/a", 1, 10)))}
	m.Apply(entry)
	m.Apply(entry)
	m.ApplyBatch([]*raft.Log{entry, {Index: 6, Term: 1, Type: raft.LogCommand, Data: entry.Data}})
	if raw, _ := row(t, m, "quota/a"); number(raw) != 2 {
		t.Errorf("counted %d, not 2", number(raw))
	}
}

func TestMalformedEntriesAreRefused(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	long := bytes.Repeat([]byte("k"), maxKey+1)
	for name, data := range map[string][]byte{
		"no protobuf": []byte("\xff\xff\xff"),
		"no key":      marshal(t, operations(&storepb.Operation{Kind: &storepb.Operation_Put{}})),
		"a long key":  marshal(t, put(string(long), "x")),
		"no kind":     marshal(t, operations(&storepb.Operation{Key: []byte("a")})),
		"no counter":  marshal(t, operations(add("text/a", 1, 9))),
		"no list":     marshal(t, operations(appendTo("text/", "x", false, 0))),
	} {
		if err := apply(t, m, marshal(t, &storepb.Transaction{Operations: slices.Concat(
			put("text/a", "no number").Operations, put(string(store.ListCounter([]byte("text/"))), "no number").Operations)})); err != nil {
			t.Fatal(err)
		}
		if err := apply(t, m, data); !errors.Is(err, store.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an entry is, two managers come to the same, and neither falls.
func FuzzApply(f *testing.F) {
	f.Add([]byte("\xff"), []byte(""))
	for _, tx := range []*storepb.Transaction{
		put("a", "b"), del("a"),
		operations(add("n", 3, 5), add("n", -1, 5), appendTo("l", "v", true, 1), appendTo("l", "w", false, 1)),
		{Guards: []*storepb.Guard{{Key: []byte("a"), Version: 1}}, Operations: put("a", "c").Operations},
	} {
		f.Add(marshal(f, tx), marshal(f, tx))
	}
	one, two := newTestMachine(f), newTestMachine(f)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		at := one.applied.Load()
		a := &raft.Log{Index: at + 1, Term: 1, Type: raft.LogCommand, Data: first}
		b := &raft.Log{Index: at + 2, Term: 1, Type: raft.LogCommand, Data: second}
		batch := one.ApplyBatch([]*raft.Log{a, b})
		single := []any{two.Apply(a), two.Apply(b)}
		for i := range batch {
			x, _ := batch[i].(error)
			y, _ := single[i].(error)
			if (x == nil) != (y == nil) || (x != nil && x.Error() != y.Error()) {
				t.Fatalf("entry %d: %v and %v", i, x, y)
			}
		}
		if x, y := dump(t, one), dump(t, two); !bytes.Equal(x, y) {
			t.Fatalf("the states differ: %x and %x", x, y)
		}
	})
}

func dump(t testing.TB, m *machine) []byte {
	t.Helper()
	v, err := m.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	hash := sha256.New()
	for key, value := range v.Scan(nil) {
		_, version := v.Get(key)
		for _, part := range [][]byte{key, value} {
			hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			hash.Write(part)
		}
		hash.Write(binary.BigEndian.AppendUint64(nil, version))
	}
	return hash.Sum(nil)
}

// What a chain dropped leaves the hash that the oldest kept element is chained
// to, and nothing else.
func TestAChainThatDropsElementsCanStillBeChecked(t *testing.T) {
	t.Parallel()
	m := newTestMachine(t)
	for _, value := range []string{"a", "b", "c", "d"} {
		if err := apply(t, m, marshal(t, operations(appendTo("audit/", value, true, 2)))); err != nil {
			t.Fatal(err)
		}
	}
	// Several in one transaction, of which some go at once.
	if err := apply(t, m, marshal(t, operations(appendTo("audit/", "e", true, 2), appendTo("audit/", "f", true, 2), appendTo("audit/", "g", true, 2)))); err != nil {
		t.Fatal(err)
	}
	var hash []byte
	want := map[byte][]byte{}
	for i, value := range "abcdefg" {
		hash = seal.Link(hash, []byte(string(value)))
		want[byte(i+1)] = append(bytes.Clone(hash), string(value)...)
	}
	want[5] = want[5][:seal.LinkSize]
	v, err := m.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	kept := 0
	for key, stored := range v.Scan([]byte("audit/")) {
		if len(key) == len("audit/")+1 {
			continue // the counter
		}
		if number := key[len(key)-1]; number < 5 || !bytes.Equal(stored, want[number]) {
			t.Errorf("element %d is %q, want %q", number, stored, want[number])
		}
		kept++
	}
	if kept != 3 {
		t.Errorf("%d elements are kept", kept)
	}
}
