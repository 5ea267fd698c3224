// Package logs is the files that hold what containers print: their format,
// the writer with its rotation, and the reader that can follow them.
//
// A record is one line of text, in the format that Kubernetes' runtimes write
// too, so that other programs can read it:
//
//	2026-01-02T15:04:05.123456789Z stdout F what was printed
//
// F ends a line of output; P is a piece of one longer than MaxLine, and more
// of it follows. The current file is PATH, the one before it PATH.1, and so on.
//
// The package uses the standard library alone and little of that, because the
// helper that writes the files runs once per container.
package logs

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

const (
	// MaxLine is the most bytes of output in one record.
	MaxLine = 16 << 10
	// DefaultMaxBytes is how large a file gets before it is rotated.
	DefaultMaxBytes = 10 << 20
	// DefaultMaxFiles is how many files there are, the current one included.
	DefaultMaxFiles = 3

	timeFormat = "2006-01-02T15:04:05.000000000Z"
)

// ErrMalformed is returned for a record that is not in the format.
var ErrMalformed = errors.New("malformed log record")

// Stream says where a container printed something.
type Stream uint8

// The streams of a container.
const (
	Stdout Stream = iota + 1
	Stderr
)

func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	}
	return "stream " + strconv.Itoa(int(s))
}

// Entry is one record.
type Entry struct {
	Time   time.Time
	Stream Stream
	// Partial says that the line goes on in this stream's next entry.
	Partial bool
	// Line has no line end.
	Line []byte
}

// appendRecord appends e as a record to b.
func appendRecord(b []byte, e Entry) []byte {
	b = e.Time.UTC().AppendFormat(b, timeFormat)
	b = append(b, ' ')
	b = append(b, e.Stream.String()...)
	if e.Partial {
		b = append(b, " P "...)
	} else {
		b = append(b, " F "...)
	}
	b = append(b, e.Line...)
	return append(b, '\n')
}

// Parse reads one record without its line end. The entry's Line shares
// record's memory.
func Parse(record []byte) (Entry, error) {
	when, rest, ok := bytes.Cut(record, []byte{' '})
	if !ok || len(when) != len(timeFormat) {
		return Entry{}, ErrMalformed
	}
	at, err := time.Parse(timeFormat, string(when))
	// Package time reads more than it writes, such as a comma for the point.
	if err != nil || !bytes.Equal(at.AppendFormat(make([]byte, 0, len(timeFormat)), timeFormat), when) {
		return Entry{}, ErrMalformed
	}
	name, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(rest) < 2 || rest[1] != ' ' || (rest[0] != 'F' && rest[0] != 'P') {
		return Entry{}, ErrMalformed
	}
	e := Entry{Time: at, Partial: rest[0] == 'P', Line: rest[2:]}
	switch string(name) {
	case "stdout":
		e.Stream = Stdout
	case "stderr":
		e.Stream = Stderr
	default:
		return Entry{}, ErrMalformed
	}
	return e, nil
}
