package command

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

const watchPeriod = time.Second

// clearScreen empties a terminal and goes to its upper left corner.
const clearScreen = "\033[H\033[2J"

// Clear empties the terminal that is written to.
func (s *Shell) Clear() { fmt.Fprint(s.Out, clearScreen) }

// listing is one run of a list.
type listing[V any] struct {
	noun   Noun[V]
	format *Format
	labels []string
	quiet  bool
	watch  bool
}

// NewList makes the verb list of a noun.
func NewList[V any](s *Shell, n Noun[V], d Doc) *cobra.Command {
	return NewVariedList(s, func() Noun[V] { return n }, d)
}

// NewVariedList makes a list of what choose returns once the flags are read.
func NewVariedList[V any](s *Shell, choose func() Noun[V], d Doc) *cobra.Command {
	l := &listing[V]{}
	cmd := d.apply(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Args:    Names("", 0, 0),
	})
	cmd.RunE = s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
		l.noun = choose()
		if err := spec.LabelFilters(l.labels); err != nil {
			return err
		}
		if l.watch {
			return l.follow(ctx, s, c)
		}
		objects, err := l.fetch(ctx, s, c)
		if err != nil {
			return err
		}
		return l.write(s.Out, objects, s.Now())
	})
	flags := cmd.Flags()
	flags.StringArrayVarP(&l.labels, "label", "l", nil, "only those with this label: KEY or `KEY=VALUE` (repeatable)")
	flags.BoolVarP(&l.quiet, "quiet", "q", false, "print IDs only")
	flags.BoolVarP(&l.watch, "watch", "w", false, "show it again whenever it changes")
	l.format = BindFormat(cmd)
	return cmd
}

func (l *listing[V]) fetch(ctx context.Context, s *Shell, c *client.Client) (objects []V, err error) {
	err = s.Wait(ctx, fmt.Sprintf("Listing %ss", l.noun.Kind), func(ctx context.Context) error {
		objects, err = l.noun.List(ctx, c, l.labels)
		return err
	})
	if objects == nil {
		objects = []V{} // an empty list is [] in JSON, never null
	}
	return objects, err
}

func (l *listing[V]) write(w io.Writer, objects []V, now time.Time) error {
	switch {
	case l.quiet:
		for _, v := range objects {
			if _, err := fmt.Fprintln(w, l.noun.ID(v)); err != nil {
				return err
			}
		}
		return nil
	case l.format.forProgram():
		return l.format.Encode(w, objects)
	}
	return WriteTable(w, l.noun.Columns, objects, *l.format == Wide, now)
}

// follow shows the list until ctx ends: anew in place on a terminal, where ages
// go on too; in a pipe only what differs from before.
func (l *listing[V]) follow(ctx context.Context, s *Shell, c *client.Client) error {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	screen := Terminal(s.Out)
	var before []V
	for {
		objects, err := l.fetch(ctx, s, c)
		if err != nil {
			return err
		}
		if screen {
			s.Clear()
		}
		if screen || before == nil || !reflect.DeepEqual(before, objects) {
			if err := l.write(s.Out, objects, s.Now()); err != nil {
				return err
			}
		}
		before = objects
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
