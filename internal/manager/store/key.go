package store

import (
	"fmt"
	"slices"
	"strings"
)

// Table names a table; it is the first part of its rows' keys.
type Table string

// Key names a row within its table: its parts joined by "/", as the package
// comment lists them.
type Key string

// KeyOf joins the parts of a key.
func KeyOf(parts ...string) Key { return Key(strings.Join(parts, "/")) }

// Parts gives the key in its parts.
func (k Key) Parts() []string { return strings.Split(string(k), "/") }

// Namespace is the first part: the namespace in all tables that have one.
func (k Key) Namespace() string {
	ns, _, _ := strings.Cut(string(k), "/")
	return ns
}

// ID is the last part.
func (k Key) ID() string { return string(k)[strings.LastIndexByte(string(k), '/')+1:] }

// rowKey checks parts that may come from outside: none may be empty or reach
// into another part.
func rowKey(t Table, parts []string) (string, error) {
	for _, p := range parts {
		if p == "" || strings.ContainsRune(p, '/') {
			return "", fmt.Errorf("%w: %s %q", ErrNotFound, t, KeyOf(parts...))
		}
	}
	return string(t) + "/" + string(KeyOf(parts...)), nil
}

// splitKey is rowKey's inverse.
func splitKey(raw string) (Table, Key) {
	t, k, _ := strings.Cut(raw, "/")
	return Table(t), Key(k)
}

// ListCounter is the row with the number of a list's last element: below the
// list's key and after all its elements, so that appending finds both in one
// page of the file.
func ListCounter(list []byte) []byte { return append(slices.Clip(list), 0xff) }
