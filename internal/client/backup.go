package client

import (
	"context"
	"errors"
	"io"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// Backup is the whole state of a cluster on its way.
type Backup struct {
	Info   *warrenv1.BackupInfo
	stream interface {
		Recv() (*warrenv1.BackupPart, error)
	}
	rest []byte
}

// Backup begins to fetch the whole state, as of one moment. It ends with ctx.
func (c *Client) Backup(ctx context.Context) (*Backup, error) {
	stream, err := c.Clusters.BackupCluster(ctx, &warrenv1.BackupClusterRequest{})
	if err != nil {
		return nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if first.GetInfo() == nil {
		return nil, errors.New("the manager did not say what the backup is")
	}
	return &Backup{Info: first.GetInfo(), stream: stream}, nil
}

// Read gives Info.Size bytes of the state.
func (b *Backup) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		part, err := b.stream.Recv()
		if err != nil {
			return 0, err // io.EOF at the end
		}
		b.rest = part.GetChunk()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

var _ io.Reader = (*Backup)(nil)
