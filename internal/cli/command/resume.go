package command

import (
	"context"
	"errors"
	"time"

	"github.com/cuemby/warren/internal/client"
)

const (
	// lostFor is for how long a stream that was lost is begun anew.
	lostFor   = 30 * time.Second
	lostPause = 500 * time.Millisecond
)

// Resume calls follow, which reads a stream and calls heard with each message,
// and calls it again when the manager was lost, as at its restart. What follow
// has seen before it has to leave out itself.
func Resume(ctx context.Context, follow func(ctx context.Context, heard func()) error) error {
	var lost time.Time
	for {
		err := once(ctx, follow, func() { lost = time.Time{} })
		unreachable := (*client.Error)(nil)
		if !errors.As(err, &unreachable) || unreachable.Code != client.Unreachable {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(lost) > lostFor {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lostPause):
		}
	}
}

func once(ctx context.Context, follow func(context.Context, func()) error, heard func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return follow(ctx, heard)
}
