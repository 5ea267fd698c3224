package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/backup/bundle"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// Copier gives the whole state as a file of one moment, which is gone once it
// is closed, and the index of the last change in it.
type Copier func(ctx context.Context) (state *os.File, index uint64, err error)

// backupChunk is how many bytes one message of a backup has.
const backupChunk = 256 << 10

// BackupCluster sends the whole state. All secrets in it are sealed; what is
// said of it in front names the unlock key that opens them.
func (c *clusters) BackupCluster(_ *warrenv1.BackupClusterRequest, stream grpc.ServerStreamingServer[warrenv1.BackupPart]) error {
	if c.config.Copy == nil {
		return spec.Problemf(spec.Refused, "cluster", "", "this manager cannot copy its state")
	}
	state, info, err := c.copyState(stream.Context())
	if err != nil {
		return err
	}
	defer state.Close()
	c.log.Info("the state is backed up", "caller", callerName(stream.Context()), "bytes", info.GetSize(), "index", info.GetIndex())
	if err := stream.Send(&warrenv1.BackupPart{Info: info}); err != nil {
		return err
	}
	for buffer := make([]byte, backupChunk); ; {
		n, err := io.ReadFull(state, buffer)
		if n > 0 {
			if err := stream.Send(&warrenv1.BackupPart{Chunk: buffer[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyState copies the state and says what it is. The cluster's row is read
// before and after, so that what is said is what is in it.
func (c *clusters) copyState(ctx context.Context) (*os.File, *warrenv1.BackupInfo, error) {
	for {
		before, err := c.row(ctx)
		if err != nil {
			return nil, nil, err
		}
		state, index, err := c.config.Copy(ctx)
		if err != nil {
			return nil, nil, err
		}
		after, err := c.row(ctx)
		if err == nil && !proto.Equal(before, after) {
			state.Close()
			continue
		}
		info := &warrenv1.BackupInfo{
			Format: bundle.Format, ClusterId: after.GetId(), ClusterName: after.GetName(),
			UnlockKeyFingerprint: after.GetUnlockKeyFingerprint(), UnlockKeyExported: after.GetUnlockKeyExportedAt() != nil,
			CreatedAt: c.now(), Version: c.config.Version, Index: index,
		}
		if err == nil {
			err = measure(state, info)
		}
		if err != nil {
			return nil, nil, errors.Join(err, state.Close())
		}
		return state, info, nil
	}
}

func (c *clusters) row(ctx context.Context) (cluster *warrenv1.Cluster, err error) {
	err = c.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		cluster, err = tx.Cluster().Get()
		return err
	})
	return cluster, err
}

// measure fills in size and checksum, and goes back to the file's start.
func measure(state *os.File, info *warrenv1.BackupInfo) error {
	hash := sha256.New()
	n, err := io.Copy(hash, state)
	if err != nil {
		return err
	}
	info.Size, info.Sha256 = uint64(n), hash.Sum(nil)
	_, err = state.Seek(0, io.SeekStart)
	return err
}
