package agent

import (
	"context"
	"io"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

// loadImage imports the archive that the manager sends.
func (a *Agent) loadImage(ctx context.Context, m *manager, c *conversation) error {
	archive, write := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	var pieces sync.WaitGroup
	defer pieces.Wait()
	defer cancel()
	defer archive.Close()
	pieces.Go(func() { write.CloseWithError(copyPieces(ctx, c, write)) })
	images, err := a.cfg.Runtime.Import(ctx, archive)
	if err != nil {
		return err
	}
	a.imagesChanged(images)
	return c.send(a.imagesFrame(m, images))
}

// copyPieces writes an archive's pieces; nil once the empty one has come.
func copyPieces(ctx context.Context, c *conversation, to io.Writer) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f, ok := <-c.frames:
			if !ok {
				return io.ErrUnexpectedEOF
			}
			if len(f.GetChunk()) == 0 {
				return nil
			}
			if _, err := to.Write(f.GetChunk()); err != nil {
				return err
			}
		}
	}
}

func (a *Agent) listImages(ctx context.Context, m *manager, c *conversation) error {
	images, err := a.cfg.Runtime.List(ctx)
	if err != nil {
		return err
	}
	return c.send(a.imagesFrame(m, images))
}

func (a *Agent) imagesFrame(m *manager, images []runtime.Image) *warrenv1.WorkerFrame {
	list := &warrenv1.ListImagesResponse{}
	for _, i := range images {
		list.Images = append(list.Images, &warrenv1.Image{
			Name: i.Name, Digest: i.Digest, Size: uint64(i.Size), CreatedAt: timestamppb.New(i.CreatedAt),
			NodeId: m.nodeID, NodeName: a.cfg.Hostname,
		})
	}
	return &warrenv1.WorkerFrame{Frame: &warrenv1.WorkerFrame_Images{Images: list}}
}
