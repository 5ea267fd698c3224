package agent

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// endReason says how a task's process ended, for a person. Runtimes give
// 128 + n for a process that signal n killed.
func endReason(exit runtime.Exit, want *warrenv1.Task) string {
	code, limit := exit.Code, want.GetContainer().GetResources().GetMemoryLimitBytes()
	switch {
	case exit.OutOfMemory && limit != 0:
		return fmt.Sprintf("killed: out of memory (limit %s)", spec.FormatSizeLong(limit))
	case exit.OutOfMemory:
		return "killed: out of memory"
	case code == 0:
		return "exited"
	case code > 128 && unix.SignalName(syscall.Signal(code-128)) != "":
		return "killed by " + unix.SignalName(syscall.Signal(code-128))
	default:
		return fmt.Sprintf("exited with code %d", code)
	}
}
