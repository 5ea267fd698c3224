package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
)

// The exit codes of warren. Those of a command that `warren exec` ran are
// passed on as they are.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNotFound    = 4
	exitExists      = 5
	exitDenied      = 6
	exitInterrupted = 130
)

// Status is the exit code of a command that ran elsewhere; it is no failure of
// warren and prints nothing.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Exit prints what went wrong, one error after the other, and returns the
// exit code of the worst.
func Exit(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		worst := exitOK
		for _, err := range all.Unwrap() {
			worst = max(worst, Exit(w, err))
		}
		return worst
	}
	if status := Status(0); errors.As(err, &status) {
		return int(status)
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	fmt.Fprintf(w, "Error: %s\n", lines(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "Try: %s\n", hint)
	}
	return codeOf(err)
}

// lines makes a message that may have several lines safe to show.
func lines(message string) string {
	list := strings.Split(message, "\n")
	for i, line := range list {
		list[i] = Visible(line)
	}
	return strings.Join(list, "\n")
}

func codeOf(err error) int {
	if e := (*Usage)(nil); errors.As(err, &e) {
		return exitUsage
	}
	if e := (*client.Error)(nil); errors.As(err, &e) {
		return clientCodes[e.Code]
	}
	if e := (*spec.Problem)(nil); errors.As(err, &e) {
		if code, ok := problemCodes[e.Code]; ok {
			return code
		}
	}
	return exitError
}

var clientCodes = map[client.Code]int{
	client.Failed:      exitError,
	client.Invalid:     exitUsage,
	client.Unreachable: exitUnreachable,
	client.NotFound:    exitNotFound,
	client.Exists:      exitExists,
	client.Denied:      exitDenied,
}

// Problems without an entry are plain errors.
var problemCodes = map[spec.Code]int{
	spec.Invalid:  exitUsage,
	spec.NotFound: exitNotFound,
	spec.Exists:   exitExists,
	spec.Denied:   exitDenied,
}

func hintOf(err error) string {
	if e := (*Usage)(nil); errors.As(err, &e) {
		return e.Hint
	}
	if e := (*client.Error)(nil); errors.As(err, &e) {
		return e.Hint
	}
	if e := (*spec.Problem)(nil); errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
