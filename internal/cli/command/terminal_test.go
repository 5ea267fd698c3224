package command

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/testkit/pty"
	"golang.org/x/sys/unix"
)

func TestWhatTakesLongIsShownOnATerminal(t *testing.T) {
	outside, inside := pty.Open(t)
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
	outside, inside := pty.Open(t)
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

func TestWhatIsTypedAsASecretIsNotShown(t *testing.T) {
	outside, inside := pty.Open(t)
	s := &Shell{In: inside, Err: inside}
	typed := make(chan string)
	go func() {
		text, err := s.AskSecret("Password: ")
		if err != nil {
			t.Error(err)
		}
		typed <- string(text)
	}()
	for echo := true; echo; runtime.Gosched() {
		state, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		echo = state.Lflag&unix.ECHO != 0
	}
	fmt.Fprintln(outside, "canary")
	if got := <-typed; got != "canary" {
		t.Errorf("it read %q", got)
	}
	fmt.Fprintln(inside, "end")
	shown := bufio.NewReader(outside)
	for line := ""; !strings.HasPrefix(line, "end"); {
		var err error
		if line, err = shown.ReadString('\n'); err != nil || strings.Contains(line, "canary") {
			t.Fatalf("the terminal shows %q, %v", line, err)
		}
	}
}
