package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// Confirmation is the question before what cannot be taken back.
type Confirmation struct{ yes bool }

// Bind adds -y to a verb.
func (c *Confirmation) Bind(flags *pflag.FlagSet) {
	flags.BoolVarP(&c.yes, "yes", "y", false, "do not ask")
}

// AskSecret asks the person at the terminal for what must not be shown. The
// caller wipes what it returns. Shell.In has to be a terminal.
func (s *Shell) AskSecret(prompt string) ([]byte, error) {
	f, ok := s.In.(*os.File)
	if !ok {
		return nil, errors.New("there is no terminal to ask at")
	}
	fmt.Fprint(s.Err, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(s.Err)
	if err != nil {
		clear(text)
		return nil, fmt.Errorf("read what is typed: %w", err)
	}
	return text, nil
}

// errDeclined ends a command that a person decided against.
var errDeclined = errors.New("nothing was done")

// Ask asks the person at the terminal. Where there is none, such as in a pipe,
// nobody could answer, and whoever wrote the script has decided already.
func (c *Confirmation) Ask(ctx context.Context, s *Shell, question string) error {
	if c.yes || !Terminal(s.In) {
		return nil
	}
	fmt.Fprintf(s.Err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	// Reading a terminal cannot be interrupted: the goroutine ends with the
	// answer, or with the process that no longer waits for it.
	go func() {
		line, _ := bufio.NewReader(s.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return ctx.Err()
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return errDeclined
	}
}
