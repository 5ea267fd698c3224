package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// ParsePairs reads what is given as KEY=VALUE to a repeatable flag.
func ParsePairs(cmd *cobra.Command, flag string, args []string) (map[string]string, error) {
	pairs := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, found := strings.Cut(arg, "=")
		if !found || key == "" {
			return nil, &Usage{
				Message: fmt.Sprintf("--%s %q is not KEY=VALUE", flag, arg),
				Hint:    fmt.Sprintf("%s --help", cmd.CommandPath()),
			}
		}
		if _, twice := pairs[key]; twice {
			return nil, &Usage{Message: fmt.Sprintf("--%s %s is given twice", flag, key), Hint: "give it once"}
		}
		pairs[key] = value
	}
	return pairs, nil
}

// Pairs prints a map in a cell of a table.
func Pairs(pairs map[string]string) string {
	list := make([]string, 0, len(pairs))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, key+"="+pairs[key])
	}
	return strings.Join(list, ",")
}

// WithEffects adds a line for each object on which an action had an effect.
func WithEffects(done, format string, names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, format+"\n", name)
	}
	return b.String() + done
}
