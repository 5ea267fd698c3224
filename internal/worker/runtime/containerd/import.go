package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Import reads an OCI or Docker archive, compressed or not, and returns the
// images in it under their canonical names.
func (r *Runtime) Import(ctx context.Context, archive io.Reader) ([]runtime.Image, error) {
	ctx = r.in(ctx)
	plain, err := compression.DecompressStream(archive)
	if err != nil {
		return nil, fmt.Errorf("read the image archive: %w", err)
	}
	defer plain.Close()
	// The lease keeps what is renamed below.
	ctx, done, err := r.client.WithLease(ctx)
	if err != nil {
		return nil, fmt.Errorf("import images: %w", err)
	}
	defer done(context.WithoutCancel(ctx))

	found, err := r.client.Import(ctx, plain, client.WithSkipMissing(), client.WithImageRefTranslator(canonical))
	if err != nil {
		return nil, fmt.Errorf("import images: is it an OCI or Docker archive? %w", err)
	}
	// The archive's own end, so that its sender is not cut off.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return nil, fmt.Errorf("read the image archive: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New("import images: the archive names no image for this machine; " +
			"write it with a name, as `docker save NAME` does")
	}
	var list []runtime.Image
	for _, one := range found {
		image, err := r.finishImport(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("import image %s: %w", one.Name, err)
		}
		list = append(list, image)
	}
	return list, nil
}

func (r *Runtime) finishImport(ctx context.Context, record images.Image) (runtime.Image, error) {
	if name := canonical(record.Name); name != record.Name {
		old := record.Name
		record.Name = name
		if err := r.putImage(ctx, record); err != nil {
			return runtime.Image{}, err
		}
		if err := r.client.ImageService().Delete(ctx, old); err != nil && !errdefs.IsNotFound(err) {
			return runtime.Image{}, err
		}
	}
	image := client.NewImage(r.client, record)
	if err := r.unpack(ctx, image); err != nil {
		return runtime.Image{}, err
	}
	return describe(ctx, image)
}

func (r *Runtime) putImage(ctx context.Context, record images.Image) error {
	_, err := r.client.ImageService().Create(ctx, record)
	if errdefs.IsAlreadyExists(err) {
		_, err = r.client.ImageService().Update(ctx, record, "target")
	}
	return err
}

// canonical is the name with its registry and tag, as Docker completes it; a
// name that is none stays as it is.
func canonical(name string) string {
	named, err := reference.ParseDockerRef(name)
	if err != nil {
		return name
	}
	return named.String()
}
