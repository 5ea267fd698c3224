package cli

import (
	"fmt"
	"runtime"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/version"
	"github.com/spf13/cobra"
)

func newVersion(s *command.Shell) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show which Warren this is",
		Long:    "Show which Warren this program is. The manager's is shown by `warren cluster info`.",
		Example: `  warren version`,
		Args:    command.Names("", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.Out, "warren %s (%s, %s/%s)\n", version.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
