// Package cluster has the verbs of `warren cluster`.
package cluster

import (
	"context"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/spf13/cobra"
)

// Init makes a cluster and runs its first node until ctx ends.
type Init func(ctx context.Context, o nodeflags.Options) error

// New makes `warren cluster`.
func New(s *command.Shell, run Init, restore RunRestore, recovering RunRecover) *cobra.Command {
	return command.Group("cluster", "Create a cluster and look at it", newInit(run), newInfo(s),
		newJoinToken(s), newClientToken(s), newClients(s), newClientRevoke(s),
		newUpdate(s), newUnlock(s), newUnlockKey(s), newRotateKeys(s),
		newBackup(s), newRestore(s, restore), newRecover(s, recovering))
}
