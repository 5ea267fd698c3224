package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// timeLayout is how inspect shows a moment, in the reader's own zone.
const timeLayout = "2006-01-02 15:04:05"

// Sheet is what inspect shows of one object: its fields, one below the other.
type Sheet struct {
	wide   bool
	zone   *time.Location
	now    time.Time
	fields []field
}

type field struct {
	label string
	value string
	items []string
}

// Field adds a line; an empty value is shown as "-".
func (s *Sheet) Field(label, value string) {
	s.fields = append(s.fields, field{label: label, value: orDash(value)})
}

// Fieldf adds a line with a formatted value.
func (s *Sheet) Fieldf(label, format string, args ...any) {
	s.Field(label, fmt.Sprintf(format, args...))
}

// Some adds a line unless the value is empty.
func (s *Sheet) Some(label, value string) {
	if value != "" {
		s.Field(label, value)
	}
}

// Time adds a moment, unless it is zero.
func (s *Sheet) Time(label string, t time.Time) {
	if !t.IsZero() {
		s.Field(label, t.In(s.zone).Format(timeLayout))
	}
}

// List adds one item per line; without items it says so.
func (s *Sheet) List(label string, items []string) {
	if len(items) == 0 {
		s.Field(label, "")
		return
	}
	s.fields = append(s.fields, field{label: label, items: items})
}

// SomeList adds one item per line, or nothing.
func (s *Sheet) SomeList(label string, items []string) {
	if len(items) > 0 {
		s.List(label, items)
	}
}

// Pairs adds key=value lines in the order of their keys, or nothing.
func (s *Sheet) Pairs(label string, pairs map[string]string) {
	var items []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		items = append(items, key+"="+pairs[key])
	}
	s.SomeList(label, items)
}

// Now is when the sheet is shown.
func (s *Sheet) Now() time.Time { return s.now }

// Wide tells whether the reader asked for everything.
func (s *Sheet) Wide() bool { return s.wide }

func (s *Sheet) write(w io.Writer) error {
	var b strings.Builder
	for _, f := range s.fields {
		if f.items == nil {
			fmt.Fprintf(&b, "%s: %s\n", f.label, Visible(f.value))
			continue
		}
		fmt.Fprintf(&b, "%s:\n", f.label)
		for _, item := range f.items {
			fmt.Fprintf(&b, "  - %s\n", Visible(item))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
