// Package secretfile is the file of `warren secret export`: a JSON object whose
// payload is encrypted with age (age-encryption.org), so that it can be opened
// without Warren too:
//
//	jq -r .payload secrets.json | base64 -d | age -d
//
// What is in it is a JSON array with one entry for each version of each secret,
// values in base64. Written without encryption, the array is the field data.
//
// Values pass through it one at a time, in a seal.Plaintext. What age and JSON
// buffer of them, 64 KiB at most, is on the Go heap of a process that ends soon
// and leaves no core dump.
package secretfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	kind   = "warren-secrets"
	format = 1
)

var (
	// ErrForeign is returned for a file that is no export.
	ErrForeign = errors.New("it is no export of secrets")
	// ErrDamaged is returned for an export that was cut off or altered.
	ErrDamaged = errors.New("it is cut off or damaged")
	// ErrKey is returned for an export that is sealed to another key.
	ErrKey = errors.New("it is sealed to another key")
)

// Header is what can be read of an export without its key.
type Header struct {
	Kind      string    `json:"kind"`
	Format    int       `json:"format"`
	ClusterID string    `json:"cluster_id"`
	CreatedAt time.Time `json:"created_at"`
	// Key says what opens the payload; nil when nothing is encrypted.
	Key *Key `json:"key,omitempty"`
	// How many entries and secrets there are.
	Entries int `json:"entries"`
	Secrets int `json:"secrets"`
}

// body is a whole file.
type body struct {
	Header
	Payload []byte          `json:"payload"`
	Data    json.RawMessage `json:"data"`
}

// parse reads a file as far as that needs no key.
func parse(file []byte) (*body, error) {
	b := &body{}
	err := json.Unmarshal(file, b)
	var syntax *json.SyntaxError
	switch {
	case b.Kind == "" && err == nil, err != nil && !errors.As(err, &syntax):
		return nil, ErrForeign
	case err != nil && looksOurs(file):
		return nil, ErrDamaged
	case err != nil || b.Kind != kind:
		return nil, ErrForeign
	case b.Format > format:
		return nil, fmt.Errorf("it was written by a newer Warren (format %d)", b.Format)
	case b.Key == nil && b.Data == nil, b.Key != nil && len(b.Payload) == 0, b.Entries < 0 || b.Secrets < 0:
		return nil, ErrDamaged
	}
	return b, nil
}

// looksOurs tells whether a file that cannot be read begins as an export does.
func looksOurs(file []byte) bool {
	start := `{"kind":"` + kind + `"`
	return len(file) >= len(start) && string(file[:len(start)]) == start
}
