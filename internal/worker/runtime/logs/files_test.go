package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// line is an entry that prints i.
func line(i int) Entry {
	return Entry{Time: time.Unix(int64(i), 0), Stream: Stdout, Line: fmt.Appendf(nil, "line %d", i)}
}

func open(t testing.TB, path string, maxBytes int64) *Writer {
	t.Helper()
	w, err := NewWriter(path, maxBytes, DefaultMaxFiles)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func write(t testing.TB, w *Writer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := w.Write(line(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns the lines that Read yields.
func read(t testing.TB, path string, o Options) []string {
	t.Helper()
	var lines []string
	err := Read(t.Context(), path, o, func(e Entry) error {
		lines = append(lines, string(e.Line))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func want(from, to int) string {
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	return strings.Join(lines, "|")
}

func TestFilesRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const record = 30 + 10 + 6 + 1 // bytes of one of the first ten lines
	w := open(t, path, 3*record)
	write(t, w, 0, 10)
	for file, lines := range map[string]int{"log": 1, "log.1": 3, "log.2": 3} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
		if err != nil || bytes.Count(b, []byte{'\n'}) != lines {
			t.Errorf("%s has %d lines, %v; want %d", file, bytes.Count(b, []byte{'\n'}), err, lines)
		}
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != DefaultMaxFiles {
		t.Errorf("files are %v", files)
	}
	if got := strings.Join(read(t, path, Options{}), "|"); got != want(3, 10) {
		t.Errorf("read %s", got)
	}
	if err := Remove(path); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 0 {
		t.Errorf("%v stay", files)
	}
	if err := Remove(path); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
}

func TestALogIsGoneOnWithAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, open(t, path, DefaultMaxBytes), 0, 2)
	write(t, open(t, path, DefaultMaxBytes), 2, 4)
	if got := strings.Join(read(t, path, Options{}), "|"); got != want(0, 4) {
		t.Errorf("read %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTailIsTheLastLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "log")
		w := open(t, path, rapid.Int64Range(1, 500).Draw(rt, "max"))
		n := rapid.IntRange(0, 30).Draw(rt, "lines")
		write(t, w, 0, n)
		all := read(t, path, Options{})
		tail := rapid.Uint32Range(0, 40).Draw(rt, "tail")
		got := read(t, path, Options{Tail: &tail})
		last := all[max(0, len(all)-int(tail)):]
		if strings.Join(got, "|") != strings.Join(last, "|") {
			rt.Fatalf("the last %d of %v are %v", tail, all, got)
		}
	})
}

func TestALogThatIsNotThereIsEmpty(t *testing.T) {
	tail := uint32(3)
	for _, o := range []Options{{}, {Tail: &tail}} {
		if lines := read(t, filepath.Join(t.TempDir(), "log"), o); len(lines) != 0 {
			t.Errorf("read %v", lines)
		}
	}
}

func TestTornRecordsAreSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, open(t, path, DefaultMaxBytes), 0, 1)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "2026-01-02T15:\n%s\n", strings.Repeat("x", 200<<10))
	f.Close()
	write(t, open(t, path, DefaultMaxBytes), 1, 2)
	for _, tail := range []*uint32{nil, new(uint32(2))} {
		if got := strings.Join(read(t, path, Options{Tail: tail}), "|"); got != want(0, 2) {
			t.Errorf("read %s", got)
		}
	}
}

// follower reads a log that is being written.
func follower(t *testing.T, path string, ended <-chan struct{}) (lines <-chan string, result <-chan error) {
	out, done := make(chan string), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		done <- Read(ctx, path, Options{Follow: true, Ended: ended}, func(e Entry) error {
			select {
			case out <- string(e.Line):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(out)
	}()
	return out, done
}

func TestFollowGoesOnOverRotations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ended := make(chan struct{})
	lines, result := follower(t, path, ended)
	w := open(t, path, 120) // two or three lines a file
	for i := range 10 {
		write(t, w, i, i+1)
		if got := <-lines; got != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d came as %q", i, got)
		}
	}
	write(t, w, 10, 12)
	close(ended)
	var last []string
	for l := range lines {
		last = append(last, l)
	}
	if err := <-result; err != nil || strings.Join(last, "|") != want(10, 12) {
		t.Errorf("at the end came %v, %v", last, err)
	}
}

func TestFollowEndsWithItsContextAndItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Read(ctx, path, Options{Follow: true}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	write(t, open(t, path, DefaultMaxBytes), 0, 3)
	enough := errors.New("enough")
	if err := Read(t.Context(), path, Options{Follow: true}, func(Entry) error { return enough }); err != enough {
		t.Errorf("the reader's error: %v", err)
	}
}

func TestCopySplitsLinesAndKeepsEveryByte(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "log")
		w := open(t, path, 1<<30)
		var printed []byte
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 3*MaxLine), 0, 4).Draw(rt, "lines") {
			printed = append(append(printed, bytes.Repeat([]byte{'x'}, n)...), '\n')
		}
		printed = append(printed, rapid.SampledFrom([]string{"", "no end"}).Draw(rt, "rest")...)
		chunk := rapid.IntRange(1, 2*MaxLine).Draw(rt, "chunk")
		if err := w.Copy(Stderr, &chunked{printed, chunk}); err != nil {
			rt.Fatal(err)
		}
		var got []byte
		err := Read(t.Context(), path, Options{}, func(e Entry) error {
			if e.Stream != Stderr || len(e.Line) > MaxLine {
				rt.Fatalf("%v, %d bytes", e.Stream, len(e.Line))
			}
			got = append(got, e.Line...)
			if !e.Partial {
				got = append(got, '\n')
			}
			return nil
		})
		if len(printed) > 0 && printed[len(printed)-1] != '\n' {
			printed = append(printed, '\n')
		}
		if err != nil || !bytes.Equal(got, printed) {
			rt.Fatalf("%d bytes became %d, %v", len(printed), len(got), err)
		}
	})
}

// chunked gives at most n bytes a read.
type chunked struct {
	b []byte
	n int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.b)
	c.b = c.b[n:]
	return n, nil
}

func TestAFullDiskDoesNotStopTheContainer(t *testing.T) {
	w := open(t, "/dev/full", DefaultMaxBytes)
	if err := w.Write(line(1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write says %v", err)
	}
	printed := &chunked{bytes.Repeat([]byte("line\n"), 1000), 100}
	if err := w.Copy(Stdout, printed); err != nil || len(printed.b) != 0 {
		t.Errorf("of the output %d bytes were not taken, %v", len(printed.b), err)
	}
}
