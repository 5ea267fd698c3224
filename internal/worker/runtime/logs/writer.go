package logs

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

// Writer appends records to a log file and rotates it. Its methods may be
// called from any goroutine.
type Writer struct {
	path     string
	maxBytes int64
	maxFiles int

	mu     sync.Mutex
	file   *os.File
	size   int64
	record []byte
}

// NewWriter opens path, or makes it, readable by its owner only.
func NewWriter(path string, maxBytes int64, maxFiles int) (*Writer, error) {
	w := &Writer{path: path, maxBytes: maxBytes, maxFiles: max(maxFiles, 1)}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

// Write appends one entry. A file that cannot be rotated is written on; one
// that cannot be written to loses the entry, and the error says why.
func (w *Writer) Write(e Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.record = appendRecord(w.record[:0], e)
	if w.size > 0 && w.size+int64(len(w.record)) > w.maxBytes {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(w.record)
	w.size += int64(n)
	if err != nil && n > 0 {
		// Half a record must not swallow the next one's beginning.
		if w.file.Truncate(w.size-int64(n)) == nil {
			w.size -= int64(n)
		}
	}
	return err
}

// Copy writes what it reads from r as lines of the stream until r ends. What
// cannot be written is dropped: the container must never wait for its log.
func (w *Writer) Copy(stream Stream, r io.Reader) error {
	buf := make([]byte, MaxLine)
	fill := 0
	for {
		n, err := r.Read(buf[fill:])
		fill += n
		rest := buf[:fill]
		for len(rest) > 0 {
			line, after, ended := bytes.Cut(rest, []byte{'\n'})
			if !ended && len(rest) < len(buf) && err == nil {
				break
			}
			_ = w.Write(Entry{Time: time.Now(), Stream: stream, Partial: !ended && err == nil, Line: line})
			rest = after
		}
		fill = copy(buf, rest)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	w.file, w.size = f, info.Size()
	return nil
}

func (w *Writer) rotate() error {
	old := w.file
	for i := w.maxFiles - 1; i > 0; i-- {
		err := os.Rename(name(w.path, i-1), name(w.path, i))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if w.maxFiles == 1 {
		if err := os.Remove(w.path); err != nil {
			return err
		}
	}
	if err := w.open(); err != nil {
		return err
	}
	return old.Close()
}

// Remove removes a container's log files. Gone is no error.
func Remove(path string) error {
	// A log may have been written with a higher limit than today's.
	for i := 0; ; i++ {
		err := os.Remove(name(path, i))
		if os.IsNotExist(err) && i >= DefaultMaxFiles {
			return nil
		}
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
}

// name is the path of the i-th file, counted back from the current one.
func name(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}
