package cluster

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/nodeflags"
	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// Standing is what a stopped manager has.
type Standing struct {
	ClusterID, NodeName string
	// LastIndex is the last change it has heard of, at LastAt; the zero time
	// when that is not known.
	LastIndex uint64
	LastAt    time.Time
	// Others are the names of the managers that are given up.
	Others []string
}

// RunRecover makes a stopped manager the only one of its cluster, if agree has
// no objection.
type RunRecover func(ctx context.Context, o nodeflags.Options, agree func(Standing) error) error

func newRecover(s *command.Shell, run RunRecover) *cobra.Command {
	var clusterID string
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Go on from this manager alone, after a majority was lost for good",
		Long: `Make the stopped manager in a data directory the only one of its cluster, for
when a majority of the managers is lost for good. What only the lost ones knew is
lost: choose the manager that has the latest change, which each tells when it is
asked and the question is declined. Managers of before cannot come back with the
state that they have.

The cluster's ID is asked for at the terminal, or given with --cluster-id.`,
		Example: `  sudo warren cluster recover
  sudo warren cluster recover --data-dir /srv/warren --cluster-id a1b2c3d4e5f6g7h8i9j0`,
		Args: command.Names("", 0, 0),
	}
	cmd.Flags().StringVar(&clusterID, "cluster-id", "", "the cluster's `ID`, instead of typing it when asked")
	nodeflags.Run(cmd, func(ctx context.Context, o nodeflags.Options) error {
		o.LogLevel = quietly(o.LogLevel)
		var told Standing
		err := run(ctx, o, func(standing Standing) error {
			told = standing
			return agree(s, standing, clusterID)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "Manager %s is the only one of cluster %s now. To go on:\n\n  sudo warren manager start%s\n",
			told.NodeName, told.ClusterID, dataDir(o))
		if len(told.Others) > 0 {
			fmt.Fprintf(s.Out, "\nOn managers of before that come back (%s): sudo warren manager start --rejoin\nFor those that are gone: warren node remove NAME --force\n",
				strings.Join(told.Others, ", "))
		}
		return nil
	})
	return cmd
}

func dataDir(o nodeflags.Options) string {
	if o.DataDir == "" {
		return ""
	}
	return " --data-dir " + command.Quote([]string{o.DataDir})
}

// agree tells what may be lost, and wants the cluster's ID for an answer.
func agree(s *command.Shell, standing Standing, given string) error {
	at := "at a time that is not known"
	if !standing.LastAt.IsZero() {
		at = "at " + standing.LastAt.In(s.Zone).Format("2006-01-02 15:04:05")
	}
	fmt.Fprintf(s.Err, "The last change that manager %s has heard of is number %d, %s.\nWhat the others (%s) agreed upon after that is lost, and they cannot take part any more.\n",
		standing.NodeName, standing.LastIndex, at, strings.Join(standing.Others, ", "))
	if given == "" && command.Terminal(s.In) {
		fmt.Fprintf(s.Err, "To go on from here, type the cluster's ID, %s: ", standing.ClusterID)
		line, _ := bufio.NewReader(s.In).ReadString('\n')
		given = strings.TrimSpace(line)
	}
	if given == standing.ClusterID {
		return nil
	}
	return &client.Error{Message: "nothing was done", Hint: "sudo warren cluster recover --cluster-id " + standing.ClusterID}
}
