package command

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pty returns both ends of a pseudo-terminal.
func pty(t *testing.T) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Close() })
	if err := unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inside.Close() })
	return outside, inside
}

func TestWhatTakesLongIsShownOnATerminal(t *testing.T) {
	outside, inside := pty(t)
	s := &Shell{Err: inside}
	seen := bufio.NewReader(outside)
	err := s.Wait(t.Context(), "Creating volume db", func(context.Context) error {
		line, err := seen.ReadString('s') // "…1s"
		for err == nil && !strings.HasSuffix(line, "… 1s") {
			var more string
			more, err = seen.ReadString('s')
			line += more
		}
		if !strings.Contains(line, "Creating volume db… 1s") {
			t.Errorf("the terminal shows %q", line)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(inside, "next")
	for {
		line, err := seen.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(line, clearLine+"next\r\n") {
			return
		}
	}
}

func TestAPipeStaysQuiet(t *testing.T) {
	var b strings.Builder
	s := &Shell{Err: &b}
	if err := s.Wait(t.Context(), "Creating", func(context.Context) error { return nil }); err != nil || b.Len() > 0 {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestAWatchedListIsPaintedAnewOnATerminal(t *testing.T) {
	outside, inside := pty(t)
	n, ctx := numbers(t)
	s := &Shell{Out: inside, Err: inside, Now: fixed}
	format := Table
	l := &listing[int]{noun: n, format: &format}
	done := make(chan error)
	go func() { done <- l.follow(ctx, s, nil) }()
	want := clearScreen + "N\r\n1\r\n" + clearScreen + "N\r\n1\r\n" + clearScreen + "N\r\n2\r\n"
	got := make([]byte, len(want))
	for filled := 0; filled < len(got); {
		n, err := outside.Read(got[filled:])
		if err != nil {
			t.Fatal(err)
		}
		filled += n
	}
	if string(got) != want {
		t.Errorf("the terminal shows %q", got)
	}
	if err := <-done; err != context.Canceled {
		t.Errorf("it ended with %v", err)
	}
}
