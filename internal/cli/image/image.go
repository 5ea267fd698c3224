// Package image has the verbs of `warren image`.
package image

import (
	"context"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/cli/view"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// New makes `warren image`.
func New(s *command.Shell) *cobra.Command {
	return command.Group("image", "Load and list images", newLoad(s), newList(s))
}

// Noun is how images are fetched and shown. They have no labels of their own.
var Noun = command.Noun[view.Image]{
	Kind: spec.KindImage,
	ID:   func(v view.Image) string { return v.Digest },
	Name: func(v view.Image) string { return v.Name },
	List: func(ctx context.Context, c *client.Client, labels []string) ([]view.Image, error) {
		r, err := c.Images.ListImages(ctx, &warrenv1.ListImagesRequest{})
		return slices.DeleteFunc(view.All(r.GetImages(), view.NewImage), func(view.Image) bool {
			return !spec.MatchLabels(nil, labels)
		}), err
	},
	Columns: []command.Column[view.Image]{
		command.Text("NAME", func(v view.Image) string { return v.Name }),
		command.Text("SIZE", func(v view.Image) string { return spec.FormatSize(v.Size) }),
		command.Text("NODE", func(v view.Image) string { return v.Node }),
		command.Age("CREATED", func(v view.Image) time.Time { return v.CreatedAt }),
		{Title: "DIGEST", Wide: true, Cell: func(v view.Image, _ time.Time) string { return v.Digest }},
	},
}
