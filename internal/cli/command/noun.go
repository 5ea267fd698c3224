package command

import (
	"context"

	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// Noun is how objects of one kind are fetched and shown. V is what the formats
// for programs print; its JSON field names are stable.
type Noun[V any] struct {
	// Kind is the noun itself: "volume".
	Kind string
	// ID and Name of an object; a name is what a person would type.
	ID, Name func(V) string
	// List fetches the objects that have all the labels ("key" or "key=value").
	List func(ctx context.Context, c *client.Client, labels []string) ([]V, error)
	// Get fetches one by its name or its ID.
	Get func(ctx context.Context, c *client.Client, ref string) (V, error)
	// Columns of the table.
	Columns []Column[V]
	// Sheet fills in what inspect shows.
	Sheet func(s *Sheet, v V)
}

// Doc is what help says of a verb.
type Doc struct {
	Short   string
	Long    string
	Example string
}

func (d Doc) apply(cmd *cobra.Command) *cobra.Command {
	cmd.Short, cmd.Long, cmd.Example = d.Short, d.Long, d.Example
	return cmd
}
