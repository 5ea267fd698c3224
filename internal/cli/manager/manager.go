// Package manager has the verbs of `warren manager`.
package manager

import (
	"context"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

// Start runs a node that was set up before until ctx ends.
type Start func(ctx context.Context, o nodeflags.Options) error

// New makes `warren manager`.
func New(s *command.Shell, start Start, join nodeflags.Join) *cobra.Command {
	return command.Group("manager", "Run a node that holds the cluster's state", newStart(start), newJoin(s, join))
}
