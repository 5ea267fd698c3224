package agent

import (
	"testing"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

type talk = grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]

// converse asks the worker for a stream and returns when talk has ended.
func (n *node) converse(t *testing.T, open *warrenv1.OpenStream, talk func(talk) error) {
	t.Helper()
	open.Id = t.Name()
	ended := make(chan error, 1)
	n.boss.change(func() {
		n.boss.streams[open.Id] = func(s grpc.BidiStreamingServer[warrenv1.WorkerFrame, warrenv1.ManagerFrame]) error {
			err := talk(s)
			ended <- err
			return err
		}
	})
	n.boss.send(t, &warrenv1.ManagerMessage{Message: &warrenv1.ManagerMessage_OpenStream{OpenStream: open}})
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// load sends an archive of that content and returns the answer.
func (n *node) load(t *testing.T, content string, failure **warrenv1.StreamError) (images *warrenv1.ListImagesResponse) {
	t.Helper()
	open := &warrenv1.OpenStream{Purpose: &warrenv1.OpenStream_ImageLoad{ImageLoad: &warrenv1.OpenImageLoad{}}}
	n.converse(t, open, func(s talk) error {
		for _, chunk := range []string{content[:3], content[3:], ""} {
			if err := s.Send(&warrenv1.ManagerFrame{Frame: &warrenv1.ManagerFrame_Chunk{Chunk: []byte(chunk)}}); err != nil {
				return err
			}
		}
		f, err := s.Recv()
		images = f.GetImages()
		if failure != nil {
			*failure = f.GetError()
		}
		return err
	})
	return images
}
