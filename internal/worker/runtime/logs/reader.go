package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// followPeriod is how often a followed file is looked at again.
const followPeriod = 100 * time.Millisecond

// Options say what to read of a log.
type Options struct {
	// Tail is how many of the last lines to begin with; nil is all.
	Tail *uint32
	// Follow waits for more at the end, until the context is done or Ended
	// is closed and everything is read.
	Follow bool
	// Ended is closed once nothing more will be written; nil never is.
	Ended <-chan struct{}
}

// Read calls yield with the entries of the log at path, oldest first, and
// stops at its first error. A log that does not exist is empty; followed, it
// is waited for. The entry is valid only during the call.
func Read(ctx context.Context, path string, o Options, yield func(Entry) error) error {
	r := &reader{path: path, yield: yield}
	defer r.close()
	if err := r.openAll(); err != nil {
		return err
	}
	if o.Tail != nil {
		if err := r.skipTo(int(*o.Tail)); err != nil {
			return err
		}
	}
	ended := o.Ended
	for {
		if err := r.drain(ctx); err != nil {
			return err
		}
		if !o.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			// Once more, for what was written just before the end.
			o.Follow, ended = false, nil
		case <-time.After(followPeriod):
		}
	}
}

// reader holds the files that are still to be read, oldest first; the last is
// the newest it knows of.
type reader struct {
	path  string
	yield func(Entry) error
	files []*os.File
	// Of files[0]: what is read and not yet a whole record.
	rest []byte
}

// openAll opens the log's files as they are at one moment: it starts again
// when a rotation moved them meanwhile.
func (r *reader) openAll() error {
	for {
		r.close()
		for i := DefaultMaxFiles * 4; i >= 0; i-- {
			f, err := os.Open(name(r.path, i))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			r.files = append(r.files, f)
		}
		if len(r.files) == 0 || r.isCurrent(r.files[len(r.files)-1]) {
			return nil
		}
	}
}

// isCurrent says whether f is the file that is being written.
func (r *reader) isCurrent(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return true
	}
	current, err := os.Stat(r.path)
	return err == nil && os.SameFile(mine, current)
}

// drain yields every whole record there is, in all files.
func (r *reader) drain(ctx context.Context) error {
	if len(r.files) == 0 {
		if err := r.openAll(); err != nil {
			return err
		}
	}
	for len(r.files) > 0 {
		// Asked before the read: what is rotated away grows no more.
		current := len(r.files) == 1 && r.isCurrent(r.files[0])
		if err := r.drainFile(ctx); err != nil || current {
			return err
		}
		if len(r.files) == 1 {
			if err := r.openNewer(); err != nil {
				return err
			}
			if len(r.files) == 1 {
				return nil // removed, not rotated
			}
		}
		r.files[0].Close()
		r.files, r.rest = r.files[1:], nil
	}
	return nil
}

// openNewer opens the files that were begun since files[0] was the newest.
func (r *reader) openNewer() error {
	last := r.files[0]
	mine, err := last.Stat()
	if err != nil {
		return err
	}
	fresh := &reader{path: r.path}
	if err := fresh.openAll(); err != nil {
		fresh.close()
		return err
	}
	// Without last among them, the reader was so slow that it is gone.
	from := 0
	for i, f := range fresh.files {
		if info, err := f.Stat(); err == nil && os.SameFile(info, mine) {
			from = i + 1
		}
	}
	for _, f := range fresh.files[:from] {
		f.Close()
	}
	r.files = append(r.files, fresh.files[from:]...)
	return nil
}

func (r *reader) drainFile(ctx context.Context) error {
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.files[0].Read(buf)
		r.rest = append(r.rest, buf[:n]...)
		records := r.rest
		for {
			record, after, whole := bytes.Cut(records, []byte{'\n'})
			if !whole {
				break
			}
			records = after
			entry, err := Parse(record)
			if err != nil {
				continue // torn by a full disk; the others are still good
			}
			if err := r.yield(entry); err != nil {
				return err
			}
		}
		r.rest = append(r.rest[:0], records...)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// skipTo leaves only the last n lines to be read.
func (r *reader) skipTo(n int) error {
	for i := len(r.files) - 1; i >= 0; i-- {
		ends, err := lineEnds(r.files[i])
		if err != nil {
			return err
		}
		offset := int64(0)
		if len(ends) >= n {
			if len(ends) > n {
				offset = ends[len(ends)-n-1]
			}
			for _, f := range r.files[:i] {
				f.Close()
			}
			r.files = r.files[i:]
			_, err := r.files[0].Seek(offset, io.SeekStart)
			return err
		}
		n -= len(ends)
		if _, err := r.files[i].Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return nil
}

// lineEnds returns the offsets behind each record that ends a line.
func lineEnds(f *os.File) ([]int64, error) {
	var ends []int64
	offset := int64(0)
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		record, err := in.ReadSlice('\n')
		offset += int64(len(record))
		switch err {
		case nil:
		case io.EOF:
			return ends, nil
		case bufio.ErrBufferFull:
			continue // longer than any record: torn
		default:
			return nil, err
		}
		if e, err := Parse(record[:len(record)-1]); err == nil && !e.Partial {
			ends = append(ends, offset)
		}
	}
}

func (r *reader) close() {
	for _, f := range r.files {
		f.Close()
	}
	r.files, r.rest = nil, nil
}
