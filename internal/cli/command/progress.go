package command

import (
	"context"
	"fmt"
	"time"
)

const (
	quietFor = time.Second
	tick     = 200 * time.Millisecond
	// clearLine takes the line that is being written off a terminal.
	clearLine = "\r\033[K"
)

// Wait does something that may take long. After a second a terminal shows
// what is being done and for how long; a pipe stays quiet.
func (s *Shell) Wait(ctx context.Context, doing string, do func(context.Context) error) error {
	return s.WaitWith(ctx, func() string { return doing }, do)
}

// WaitWith is Wait with a description that changes meanwhile; describe is
// called from another goroutine.
func (s *Shell) WaitWith(ctx context.Context, describe func() string, do func(context.Context) error) error {
	if !Terminal(s.Err) {
		return do(ctx)
	}
	finished, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		s.show(describe, finished)
	}()
	defer func() {
		close(finished)
		<-gone
	}()
	return do(ctx)
}

func (s *Shell) show(describe func() string, finished <-chan struct{}) {
	start := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	shown := false
	for {
		select {
		case <-finished:
			if shown {
				fmt.Fprint(s.Err, clearLine)
			}
			return
		case <-ticker.C:
			if d := time.Since(start); d >= quietFor {
				shown = true
				fmt.Fprintf(s.Err, "%s%s… %s", clearLine, describe(), d.Truncate(time.Second))
			}
		}
	}
}
