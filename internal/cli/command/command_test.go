package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"pgregory.net/rapid"
)

func fixed() time.Time { return time.Date(2025, 10, 8, 10, 0, 0, 0, time.UTC) }

// numbers is a noun whose list is [1], [1], [2] and then interrupts.
func numbers(t *testing.T) (Noun[int], context.Context) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	answers := [][]int{{1}, {1}, {2}}
	return Noun[int]{
		Kind: "number",
		ID:   strconv.Itoa,
		List: func(context.Context, *client.Client, []string) ([]int, error) {
			now := answers[0]
			if answers = answers[1:]; len(answers) == 0 {
				cancel()
			}
			return now, nil
		},
		Columns: []Column[int]{Text("N", strconv.Itoa)},
	}, ctx
}

func TestAWatchedListInAPipeShowsOnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ctx := numbers(t)
		var out bytes.Buffer
		format := Table
		l := &listing[int]{noun: n, format: &format}
		err := l.follow(ctx, &Shell{Out: &out, Err: io.Discard, Now: fixed}, nil)
		if got := out.String(); err != context.Canceled || got != "N\n1\nN\n2\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestExitCodes(t *testing.T) {
	for want, errs := range map[int][]error{
		0:   {nil},
		1:   {errors.New("x"), &client.Error{}, &spec.Problem{Code: spec.InUse}, errDeclined},
		2:   {&Usage{}, &client.Error{Code: client.Invalid}, &spec.Problem{Code: spec.Invalid}},
		3:   {&client.Error{Code: client.Unreachable}},
		4:   {&client.Error{Code: client.NotFound}, &spec.Problem{Code: spec.NotFound}},
		5:   {&client.Error{Code: client.Exists}, fmt.Errorf("wrapped: %w", &spec.Problem{Code: spec.Exists})},
		6:   {&client.Error{Code: client.Denied}, errors.Join(&client.Error{Code: client.Denied}, &client.Error{Code: client.NotFound})},
		42:  {Status(42)},
		130: {context.Canceled, fmt.Errorf("call: %w", context.Canceled)},
	} {
		for _, err := range errs {
			if got := Exit(io.Discard, err); got != want {
				t.Errorf("%v ends with %d, not %d", err, got, want)
			}
		}
	}
}

func TestAnErrorSaysWhatToTypeNext(t *testing.T) {
	var b strings.Builder
	Exit(&b, errors.Join(
		fmt.Errorf("create: %w", &spec.Problem{Message: "it is taken", Hint: "warren volume list"}),
		&client.Error{Message: "gone"},
	))
	want := "Error: create: it is taken\nTry: warren volume list\nError: gone\n"
	if b.String() != want {
		t.Errorf("it says %q", b.String())
	}
}

func TestColumnsStandBelowTheirTitles(t *testing.T) {
	cell := rapid.StringMatching(`[a-zé0-9.]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, columns, columns), 1, 6).Draw(t, "rows")
		gaps := rapid.SliceOfN(rapid.IntRange(1, 4), columns, columns).Draw(t, "gaps")
		lines := strings.Split(strings.TrimSuffix(align(rows, gaps), "\n"), "\n")
		at := 0
		for c := range columns {
			width := 0
			for r, line := range lines {
				if !strings.HasPrefix(string([]rune(line)[at:]), rows[r][c]) {
					t.Fatalf("row %d column %d is not at %d: %q", r, c, at, line)
				}
				width = max(width, len([]rune(rows[r][c])))
			}
			at += width + gaps[c]
		}
	})
}

func TestTheFirstExampleIsWhatToType(t *testing.T) {
	for example, want := range map[string]string{
		"":                                   "warren --help",
		"  warren a":                         "warren a",
		"  # a comment\n  warren a\n":        "warren a",
		"  warren a \\\n    --b\n  warren c": "warren a --b",
	} {
		if got := firstExample(&cobra.Command{Use: "warren", Example: example}); got != want {
			t.Errorf("%q gives %q", example, got)
		}
	}
}

func TestQuotedWordsAreReadBackAsTheyWere(t *testing.T) {
	for want, args := range map[string][]string{
		"sleep 1000":         {"sleep", "1000"},
		"sh -c 'echo \"a\"'": {"sh", "-c", `echo "a"`},
		`'it'\''s' ''`:       {"it's", ""},
	} {
		if got := Quote(args); got != want {
			t.Errorf("%q became %s", args, got)
		}
	}
}

func TestControlCharactersAreWrittenOut(t *testing.T) {
	for s, want := range map[string]string{
		"plain ünïcode": "plain ünïcode",
		"a\x1b[2Jb\nc":  `a\x1b[2Jb\nc`,
	} {
		if got := Visible(s); got != want {
			t.Errorf("%q became %q", s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if strings.ContainsFunc(Visible(s), unicode.IsControl) {
			t.Fatalf("%q became %q", s, Visible(s))
		}
	})
}
