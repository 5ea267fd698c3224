package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

type images struct {
	warrenv1.UnimplementedImagesServer
	*Server
}

// LoadImage passes an image archive on to every node that is ready, piece by
// piece, and answers with what each of them found in it.
func (i *images) LoadImage(call grpc.ClientStreamingServer[warrenv1.LoadImageRequest, warrenv1.LoadImageResponse]) error {
	ctx := call.Context()
	nodes, err := i.readyNodes(ctx)
	if err != nil {
		return err
	}
	open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageLoad{ImageLoad: &warrenv1.OpenImageLoad{}}}
	var workers []imageWorker
	for _, node := range nodes {
		stream, err := i.config.Streams.Open(ctx, node.id, open)
		if err != nil {
			return err
		}
		defer stream.Close()
		workers = append(workers, imageWorker{node, stream})
	}
	if err := passArchive(call, workers); err != nil {
		return err
	}
	answer := &warrenv1.LoadImageResponse{}
	for _, w := range workers {
		found, err := w.answer()
		if err != nil {
			return err
		}
		answer.Images = append(answer.Images, found...)
	}
	return call.SendAndClose(answer)
}

// passArchive gives every worker all pieces and then the end. A worker that
// takes no more has given its reason, which is read instead.
func passArchive(call grpc.ClientStreamingServer[warrenv1.LoadImageRequest, warrenv1.LoadImageResponse], workers []imageWorker) error {
	for {
		piece, err := call.Recv()
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		if !end && len(piece.GetChunk()) == 0 {
			continue // an empty one would end the archive
		}
		frame := &warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Chunk{Chunk: piece.GetChunk()}}
		for _, w := range workers {
			if err := w.stream.Send(frame); err != nil {
				_, reason := w.answer()
				return cmp.Or(reason, err)
			}
		}
		if end {
			return nil
		}
	}
}

// ListImages lists the images of every node that is ready. A node that does
// not answer is left out, unless none does.
func (i *images) ListImages(ctx context.Context, _ *warrenv1.ListImagesRequest) (*warrenv1.ListImagesResponse, error) {
	nodes, err := i.readyNodes(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, i.config.Patience)
	defer cancel()
	open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageList{ImageList: &warrenv1.OpenImageList{}}}
	answer := &warrenv1.ListImagesResponse{}
	failed := 0
	for _, node := range nodes {
		stream, err := i.config.Streams.Open(ctx, node.id, open)
		var found []*warrenv1.Image
		if err == nil {
			found, err = imageWorker{node, stream}.answer()
			stream.Close()
		}
		if err != nil {
			i.log.Warn("a node did not list its images", "node", node.name, "error", err)
			if failed++; failed == len(nodes) {
				return nil, err
			}
		}
		answer.Images = append(answer.Images, found...)
	}
	slices.SortFunc(answer.Images, func(a, b *warrenv1.Image) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetNodeName(), b.GetNodeName()))
	})
	return answer, nil
}

// imageWorker is a conversation with a worker about images.
type imageWorker struct {
	node   target
	stream Stream
}

// answer waits for the worker's list of images and adds whose they are.
func (w imageWorker) answer() ([]*warrenv1.Image, error) {
	for {
		frame, err := w.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, spec.Problemf(spec.Unavailable, spec.KindNode, w.node.name, "node %s did not say which images it has", w.node.name)
		}
		if err != nil {
			return nil, err
		}
		if frame.GetImages() == nil {
			continue
		}
		for _, image := range frame.GetImages().GetImages() {
			image.NodeId, image.NodeName = w.node.id, w.node.name
		}
		return frame.GetImages().GetImages(), nil
	}
}
