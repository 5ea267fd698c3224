package logs

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Entry{
			Time:    time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC(),
			Stream:  rapid.SampledFrom([]Stream{Stdout, Stderr}).Draw(t, "stream"),
			Partial: rapid.Bool().Draw(t, "partial"),
			Line:    bytes.ReplaceAll(rapid.SliceOf(rapid.Byte()).Draw(t, "line"), []byte{'\n'}, nil),
		}
		record := appendRecord(nil, want)
		if bytes.IndexByte(record, '\n') != len(record)-1 {
			t.Fatalf("%q is not one line", record)
		}
		got, err := Parse(record[:len(record)-1])
		if err != nil {
			t.Fatal(err)
		}
		if !got.Time.Equal(want.Time) || got.Stream != want.Stream || got.Partial != want.Partial || !bytes.Equal(got.Line, want.Line) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestMalformedRecordsAreRefused(t *testing.T) {
	for _, record := range []string{
		"", "hello", "2026-01-02T15:04:05.123456789Z", "2026-01-02T15:04:05.123456789Z stdout",
		"2026-01-02T15:04:05.123456789Z stdout F", "2026-01-02T15:04:05.123456789Z stdout X line",
		"2026-01-02T15:04:05.123456789Z stdin F line", "2026-13-02T15:04:05.123456789Z stdout F line",
		"2026-01-02T15:04:05Z stdout F line", " stdout F line",
	} {
		if e, err := Parse([]byte(record)); err == nil {
			t.Errorf("%q was read as %+v", record, e)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-01-02T15:04:05.123456789Z stdout F what was printed"))
	f.Add([]byte("2026-01-02T15:04:05.123456789Z stderr P "))
	f.Add([]byte("2026-01-02T15:04:05"))
	f.Add([]byte("2026-01-02T15:04:05,000000000Z stdout F "))
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := Parse(record)
		if err != nil || bytes.IndexByte(record, '\n') >= 0 {
			return
		}
		if again := appendRecord(nil, e); !bytes.Equal(again[:len(again)-1], record) {
			t.Errorf("%q became %q", record, again)
		}
	})
}
