// Package worker has the verbs of `warren worker`.
package worker

import (
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

// New makes `warren worker`.
func New(s *command.Shell, start nodeflags.Join) *cobra.Command {
	return command.Group("worker", "Run a node that runs containers", newStart(s, start))
}
