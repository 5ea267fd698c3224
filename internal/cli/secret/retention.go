package secret

import (
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is for how long a version is good, and how many of them are kept.
type retention struct {
	expires  string
	keep     uint32
	lifetime *durationpb.Duration // nil when nothing was said
}

func (r *retention) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.expires, "expires", "", "`TIME` after which each version should be replaced: 90d, 12h or never. From 14 days before, events and lists say so; nothing is deleted")
	flags.Uint32Var(&r.keep, "keep", 0, "`NUMBER` of versions to keep, those in use aside (default: 10)")
}

func (r *retention) check(cmd *cobra.Command, name string) (err error) {
	if cmd.Flags().Changed("expires") {
		if r.lifetime, err = spec.ParseLifetime(r.expires); err != nil {
			return err
		}
	}
	if cmd.Flags().Changed("keep") {
		return spec.KeepVersions(name, r.keep)
	}
	return nil
}
