package secretfile

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"filippo.io/age"
)

// Writer writes an export, entry by entry.
type Writer struct {
	head    Header
	out     *sticky
	text    io.WriteCloser // base64; nil when nothing is encrypted
	sealed  io.WriteCloser // age
	entries io.Writer
	last    string // the secret of the last entry
}

// NewWriter begins an export of a cluster's secrets.
func NewWriter(w io.Writer, clusterID string, at time.Time, to *Sealing) (*Writer, error) {
	f := &Writer{head: Header{Kind: kind, Format: format, ClusterID: clusterID, CreatedAt: at, Key: to.key}, out: &sticky{w: w}}
	head, err := json.Marshal(struct {
		Header
		// They are known, and written, at the end.
		Entries omitted `json:"entries,omitempty"`
		Secrets omitted `json:"secrets,omitempty"`
	}{Header: f.head})
	if err != nil {
		return nil, err
	}
	f.out.write(string(head[:len(head)-1]))
	if to.key == nil {
		f.out.write(`,"data":`)
		f.entries = f.out
	} else {
		f.out.write(`,"payload":"`)
		f.text = base64.NewEncoder(base64.StdEncoding, f.out)
		if f.sealed, err = age.Encrypt(f.text, to.recipients...); err != nil {
			return nil, err
		}
		f.entries = f.sealed
	}
	_, err = io.WriteString(f.entries, "[")
	return f, err
}

type omitted *struct{}

// Add writes an entry, which stays the caller's. The entries of one secret
// follow one another, oldest version first.
func (f *Writer) Add(e *Entry) error {
	separator := "\n"
	if f.head.Entries > 0 {
		separator = ",\n"
	}
	if _, err := io.WriteString(f.entries, separator); err != nil {
		return err
	}
	f.head.Entries++
	if name := e.Namespace + "/" + e.Name; name != f.last {
		f.last = name
		f.head.Secrets++
	}
	return e.write(f.entries)
}

// Close ends the export; without it the file counts as cut off.
func (f *Writer) Close() error {
	if _, err := io.WriteString(f.entries, "\n]"); err != nil {
		return err
	}
	if f.sealed != nil {
		if err := f.sealed.Close(); err != nil {
			return err
		}
		if err := f.text.Close(); err != nil {
			return err
		}
		f.out.write(`"`)
	}
	tail, err := json.Marshal(struct {
		Entries int `json:"entries"`
		Secrets int `json:"secrets"`
	}{f.head.Entries, f.head.Secrets})
	if err != nil {
		return err
	}
	f.out.write("," + string(tail[1:]) + "\n")
	return f.out.err
}

// Counted is how many entries and secrets were added.
func (f *Writer) Counted() (entries, secrets int) { return f.head.Entries, f.head.Secrets }
