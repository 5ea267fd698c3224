package secretfile

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"runtime"
	"time"

	"github.com/cuemby/warren/internal/seal"
)

// Entry is one version of a secret.
type Entry struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Lifetime of a version in seconds, 0 when it does not expire.
	Lifetime  int64     `json:"lifetime,omitempty"`
	Keep      uint32    `json:"keep,omitempty"`
	Version   uint64    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"`
	CopyOf    uint64    `json:"copy_of,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Items are its values; not part of what is marshalled as one.
	Items []Item `json:"-"`
}

// Item is one value: that of a file, and its name if there are several.
type Item struct {
	Key   string
	Value *seal.Plaintext
}

// Destroy wipes the values.
func (e *Entry) Destroy() {
	for _, item := range e.Items {
		item.Value.Destroy()
	}
}

// write writes the entry as one object without ever holding a value elsewhere
// than in its Plaintext and in the writer's buffers.
func (e *Entry) write(w io.Writer) error {
	head, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out := &sticky{w: w}
	out.write(string(head[:len(head)-1]) + `,"items":[`)
	for i, item := range e.Items {
		key, err := json.Marshal(item.Key)
		if err != nil {
			return err
		}
		if i > 0 {
			out.write(",")
		}
		out.write(`{"key":` + string(key) + `,"value":"`)
		text := base64.NewEncoder(base64.StdEncoding, out)
		_, _ = text.Write(item.Value.Bytes())
		_ = text.Close()
		runtime.KeepAlive(item.Value)
		out.write(`"}`)
	}
	out.write("]}")
	return out.err
}

// sticky keeps the first error of a writer.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(b []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	return len(b), s.err
}

func (s *sticky) write(text string) { _, _ = s.Write([]byte(text)) }

// read reads one entry; the caller destroys it.
func read(d *json.Decoder) (*Entry, error) {
	var raw struct {
		Entry
		Items []struct {
			Key   string `json:"key"`
			Value []byte `json:"value"`
		} `json:"items"`
	}
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	e := raw.Entry
	for _, item := range raw.Items {
		value, err := seal.PlaintextFrom(item.Value)
		if err != nil {
			e.Destroy()
			return nil, err
		}
		e.Items = append(e.Items, Item{item.Key, value})
	}
	return &e, nil
}
