package command

import (
	"context"
	"slices"
	"time"

	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// completionTime is how long a person at the Tab key waits.
const completionTime = 2 * time.Second

// Completion is what cobra asks for words that may come next.
type Completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// Complete offers the names of the noun's objects: of one, or of several and
// then none of them twice.
func Complete[V any](s *Shell, n Noun[V], several bool) Completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !several {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := liveNames(cmd.Context(), s, n)
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// liveNames asks the manager; a shell that completes must not see errors.
func liveNames[V any](ctx context.Context, s *Shell, n Noun[V]) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{Manager: s.Manager, Namespace: s.Namespace, Patience: completionTime})
	if err != nil {
		return nil
	}
	defer c.Close()
	objects, err := n.List(ctx, c, nil)
	if err != nil {
		return nil
	}
	names := make([]string, len(objects))
	for i, v := range objects {
		names[i] = n.Name(v)
	}
	return names
}

// Peek reads one object for a completion that depends on it.
func Peek[V any](ctx context.Context, s *Shell, n Noun[V], ref string) (v V, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{Manager: s.Manager, Namespace: s.Namespace, Patience: completionTime})
	if err != nil {
		return v, false
	}
	defer c.Close()
	v, err = n.Get(ctx, c, ref)
	return v, err == nil
}
