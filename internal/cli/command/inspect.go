package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/cuemby/warren/internal/client"
	"github.com/spf13/cobra"
)

// NewInspect makes the verb inspect of a noun. Programs get one object for one
// name and an array for several.
func NewInspect[V any](s *Shell, n Noun[V], d Doc) *cobra.Command {
	cmd := d.apply(&cobra.Command{
		Use:               "inspect NAME...",
		Args:              Names(n.Kind, 1, 0),
		ValidArgsFunction: Complete(s, n, true),
	})
	format := BindFormat(cmd)
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, names []string) error {
		found, missing := []V{}, []error{}
		for _, name := range names {
			err := s.Wait(ctx, fmt.Sprintf("Reading %s %s", n.Kind, name), func(ctx context.Context) error {
				v, err := n.Get(ctx, c, name)
				if err == nil {
					found = append(found, v)
				}
				return err
			})
			if err != nil {
				missing = append(missing, err)
			}
		}
		if err := show(s, n, *format, found, len(names) > 1); err != nil {
			return err
		}
		return errors.Join(missing...)
	})
	return cmd
}

// show writes objects in full.
func show[V any](s *Shell, n Noun[V], format Format, objects []V, several bool) error {
	if format.forProgram() {
		if several {
			return format.Encode(s.Out, objects)
		}
		if len(objects) == 1 {
			return format.Encode(s.Out, objects[0])
		}
		return nil
	}
	for i, v := range objects {
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		sheet := &Sheet{wide: format == Wide, zone: s.Zone, now: s.Now()}
		n.Sheet(sheet, v)
		if err := sheet.write(s.Out); err != nil {
			return err
		}
	}
	return nil
}

// ShowOne writes one object that a verb without a list has, such as the
// cluster.
func ShowOne[V any](s *Shell, n Noun[V], format Format, v V) error {
	return show(s, n, format, []V{v}, false)
}
