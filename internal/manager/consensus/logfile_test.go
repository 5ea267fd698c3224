package consensus

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// What is written is what is read, whatever the zeros do ahead of it: at the
// start, where they are used up, at the end, and in a file that is opened again
// with the rest of an entry in it that was never finished.
func TestZerosGoAheadOfTheLogAndNeverOverIt(t *testing.T) {
	t.Parallel()
	dir, files := t.TempDir(), logFiles{fs.New()}
	const size = 2*ahead + 4096
	f, err := files.Create(dir, "log", size)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	piece := bytes.Repeat([]byte("entry"), 20000)
	write := func(f types.WritableFile) {
		t.Helper()
		if _, err := f.WriteAt(piece, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		want = append(want, piece...)
	}
	for len(want) < size/2 {
		write(f)
	}
	if _, err := f.WriteAt([]byte("half an entry"), int64(len(want))+3*ahead/4); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = files.OpenWriter(dir, "log"); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for len(want)+len(piece) <= size {
		write(f)
	}
	got, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != size {
		t.Errorf("the file has %d bytes, not %d", len(got), size)
	}
	if !bytes.Equal(got[:len(want)], want) || !bytes.Equal(got[len(want):], make([]byte, len(got)-len(want))) {
		t.Error("the file holds something else than what was written")
	}
	if _, err := f.ReadAt(make([]byte, 1), size); err != io.EOF {
		t.Errorf("read beyond the end: %v", err)
	}
}
