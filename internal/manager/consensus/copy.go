package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cuemby/warren/internal/manager/store"
)

// Copy returns the state as of now, as a file like warren.db, and the index of
// the last change in it. The file has no name: it is gone once it is closed.
func (c *Consensus) Copy(ctx context.Context) (_ *os.File, index uint64, err error) {
	if err := c.Barrier(ctx); err != nil && !errors.Is(err, store.ErrNotLeader) {
		return nil, 0, err
	}
	v, err := c.machine.view()
	if err != nil {
		return nil, 0, err
	}
	defer v.Close()
	if err := c.space.roomFor(v.tx.Size()); err != nil {
		return nil, 0, fmt.Errorf("copy the state: %w", err)
	}
	f, err := os.CreateTemp(c.dir, "copy-*")
	if err != nil {
		return nil, 0, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if _, err = v.tx.WriteTo(f); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("copy the state: %w", err), f.Close())
	}
	return f, readApplied(v.tx).index, nil
}
