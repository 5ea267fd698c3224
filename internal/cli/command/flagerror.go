package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cuemby/warren/internal/spec"
)

// expected says what a flag of pflag's own types takes; those of ours say it
// themselves.
var expected = map[string]string{
	"bool":     "true or false",
	"duration": "a time such as 30s, 5m or 24h",
	"uint32":   "a whole number, 0 or more",
	"uint64":   "a whole number, 0 or more",
	"int":      "a whole number",
	"int64":    "a whole number",
	"float64":  "a number",
}

// FlagError puts what pflag says of flags that were typed wrongly into words
// that need no knowledge of Go.
func FlagError(cmd *cobra.Command, err error) error {
	u := &Usage{Message: err.Error(), Hint: cmd.CommandPath() + " --help"}
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		if takes := expected[value.GetFlag().Value.Type()]; takes != "" {
			u.Message = fmt.Sprintf("--%s takes %s, not %q", value.GetFlag().Name, takes, value.GetValue())
		}
	case errors.As(err, &unknown) && strings.HasPrefix(unknown.Error(), "unknown flag"):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near, found := spec.Nearest(unknown.GetSpecifiedName(), known); found {
			u.Hint = cmd.CommandPath() + " --" + near
		}
	}
	return u
}
