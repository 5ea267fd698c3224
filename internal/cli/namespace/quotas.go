package namespace

import (
	"strconv"

	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// quotas are what a person says a namespace may have.
type quotas struct{ volumes, secrets string }

func (q *quotas) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&q.volumes, "volume-quota", "", "`SIZE` of all volumes together, such as 100G; then local volumes need --size. none for no limit")
	flags.StringVar(&q.secrets, "secret-quota", "", "`NUMBER` of secrets; none for no limit")
}

// read returns the quotas; nil for what was not said.
func (q *quotas) read(cmd *cobra.Command) (volumes, secrets *uint64, err error) {
	if cmd.Flags().Changed("volume-quota") {
		if volumes, err = quota(cmd, "volume-quota", q.volumes, spec.ParseSize, "a size such as 100G"); err != nil {
			return nil, nil, err
		}
	}
	if cmd.Flags().Changed("secret-quota") {
		number := func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 32) }
		secrets, err = quota(cmd, "secret-quota", q.secrets, number, "a number such as 100")
	}
	return volumes, secrets, err
}

func quota(cmd *cobra.Command, flag, text string, parse func(string) (uint64, error), what string) (*uint64, error) {
	if text == "none" {
		return new(uint64), nil
	}
	n, err := parse(text)
	if err != nil || n == 0 {
		return nil, command.Usagef(cmd, "--%s is %s, or none, not %q", flag, what, text)
	}
	return &n, nil
}
