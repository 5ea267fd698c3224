package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/cli/command"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/cobra"
)

// chunkSize of what is sent at once, in bytes.
const chunkSize = 256 << 10

func newLoad(s *command.Shell) *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "load FILE",
		Short: "Load images from an OCI or Docker archive",
		Long: `Load images from an archive, as "docker save" or "skopeo copy" writes it (OCI or
Docker). FILE is "-" for standard input.`,
		Example: `  warren image load postgres-15.tar
  docker save postgres:15 | warren image load -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Usagef(cmd, "%q needs one file", cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		archive, err := openArchive(s, args[0])
		if err != nil {
			return err
		}
		defer archive.Close()
		return s.Calling(func(ctx context.Context, c *client.Client, _ []string) error {
			images, err := load(ctx, s, c, archive)
			if err != nil {
				return err
			}
			for _, i := range images {
				if quiet {
					fmt.Fprintln(s.Out, i.GetDigest())
				} else {
					fmt.Fprintf(s.Out, "Image %s loaded\n", i.GetName())
				}
			}
			return nil
		})(cmd, args)
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the images' digests only")
	return cmd
}

// openArchive opens what is to be sent; a directory is refused here, before
// anything is sent.
func openArchive(s *command.Shell, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.In), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, &command.Usage{
			Message: fmt.Sprintf("%s is a directory, not an archive", name),
			Hint:    "tar -C " + name + " -c . | warren image load -",
		}
	}
	return f, nil
}

func load(ctx context.Context, s *command.Shell, c *client.Client, archive io.Reader) ([]*warrenv1.Image, error) {
	var (
		sent   atomic.Uint64
		answer *warrenv1.LoadImageResponse
	)
	describe := func() string { return "Loading, " + spec.FormatSize(sent.Load()) + " sent" }
	err := s.WaitWith(ctx, describe, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the stream when the archive cannot be read
		stream, err := c.Images.LoadImage(ctx)
		if err != nil {
			return err
		}
		if err := send(stream, archive, &sent); err != nil {
			return err
		}
		answer, err = stream.CloseAndRecv()
		return err
	})
	return answer.GetImages(), err
}

type imageStream interface {
	Send(*warrenv1.LoadImageRequest) error
}

func send(stream imageStream, archive io.Reader, sent *atomic.Uint64) error {
	for {
		// A message may still be on its way when Send returns: no reuse.
		chunk := make([]byte, chunkSize)
		n, err := io.ReadFull(archive, chunk)
		if n > 0 {
			err := stream.Send(&warrenv1.LoadImageRequest{Chunk: chunk[:n]})
			if errors.Is(err, io.EOF) {
				return nil // the answer, which is read next, says why
			}
			if err != nil {
				return err
			}
			sent.Add(uint64(n))
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the archive: %w", err)
		}
	}
}
