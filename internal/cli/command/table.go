package command

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cuemby/warren/internal/spec"
)

// Column is one column of a noun's table.
type Column[V any] struct {
	Title string
	// Cell is the text for one object; an empty one is shown as "-".
	Cell func(v V, now time.Time) string
	// Wide columns are shown with -o wide only.
	Wide bool
	// Gap is the space behind the column; 3 when 0.
	Gap int
}

const defaultGap = 3

// Text makes a column of a plain field.
func Text[V any](title string, cell func(V) string) Column[V] {
	return Column[V]{Title: title, Cell: func(v V, _ time.Time) string { return cell(v) }}
}

// Age makes a column that tells how long ago something was: 2d ago.
func Age[V any](title string, at func(V) time.Time) Column[V] {
	return Column[V]{Title: title, Cell: func(v V, now time.Time) string {
		if at(v).IsZero() {
			return ""
		}
		return spec.FormatAge(now.Sub(at(v)))
	}}
}

// OnlyWide marks columns for -o wide.
func OnlyWide[V any](columns ...Column[V]) []Column[V] {
	for i := range columns {
		columns[i].Wide = true
	}
	return columns
}

// WithGap sets the space behind a column.
func (c Column[V]) WithGap(gap int) Column[V] {
	c.Gap = gap
	return c
}

// ShowTable shows what is a list by itself, as tables or for programs.
func ShowTable[V any](s *Shell, format Format, columns []Column[V], objects []V) error {
	if format.forProgram() {
		return format.Encode(s.Out, objects)
	}
	return WriteTable(s.Out, columns, objects, format == Wide, s.Now())
}

// WriteTable aligns the objects below the titles.
func WriteTable[V any](w io.Writer, columns []Column[V], objects []V, wide bool, now time.Time) error {
	rows := make([][]string, len(objects)+1)
	var gaps []int
	for _, c := range columns {
		if c.Wide && !wide {
			continue
		}
		rows[0] = append(rows[0], c.Title)
		for i, v := range objects {
			rows[i+1] = append(rows[i+1], orDash(Visible(c.Cell(v, now))))
		}
		if c.Gap == 0 {
			c.Gap = defaultGap
		}
		gaps = append(gaps, c.Gap)
	}
	_, err := io.WriteString(w, align(rows, gaps))
	return err
}

func align(rows [][]string, gaps []int) string {
	widths := make([]int, len(gaps))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gaps[i]))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Visible writes out control characters: what a container or a registry had to
// say must neither break a line nor command the reader's terminal.
func Visible(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			escaped := strconv.QuoteRuneToASCII(r)
			b.WriteString(escaped[1 : len(escaped)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
