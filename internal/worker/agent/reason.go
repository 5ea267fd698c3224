package agent

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// endReason says how a process ended, for a person. Runtimes give 128 + n for
// a process that signal n killed.
func endReason(code int) string {
	switch {
	case code == 0:
		return "exited"
	case code > 128 && unix.SignalName(syscall.Signal(code-128)) != "":
		return "killed by " + unix.SignalName(syscall.Signal(code-128))
	default:
		return fmt.Sprintf("exited with code %d", code)
	}
}
