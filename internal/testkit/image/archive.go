package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WriteOCI writes the image as an OCI archive.
func WriteOCI(w io.Writer, image Image) (err error) {
	dir, err := os.MkdirTemp("", "warren-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write image %s: %w", image.Name, err)
	}
	named := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": image.Name})
	if err := at.AppendImage(image, named); err != nil {
		return fmt.Errorf("write image %s: %w", image.Name, err)
	}
	out := tar.NewWriter(w)
	if err := out.AddFS(os.DirFS(dir)); err != nil {
		return fmt.Errorf("write image %s: %w", image.Name, err)
	}
	return out.Close()
}

// WriteDocker writes the image as `docker save` does.
func WriteDocker(w io.Writer, image Image) error {
	tag, err := name.NewTag(image.Name)
	if err != nil {
		return err
	}
	return tarball.Write(tag, image, w)
}
