package containerd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
)

// ViewRoot calls view with the path of a read-only mount of the image's root
// filesystem, which is gone again when view returns.
func (r *Runtime) ViewRoot(ctx context.Context, name string, view func(root string) error) (err error) {
	ctx = r.in(ctx)
	image, err := r.client.GetImage(ctx, name)
	if err != nil {
		return fmt.Errorf("look into image %s: %w", name, notFound(err))
	}
	if err := r.unpack(ctx, image); err != nil {
		return fmt.Errorf("look into image %s: %w", name, err)
	}
	layers, err := image.RootFS(ctx)
	if err != nil {
		return fmt.Errorf("look into image %s: %w", name, err)
	}
	// The lease also removes the view should nobody else.
	ctx, done, err := r.client.WithLease(ctx)
	if err != nil {
		return fmt.Errorf("look into image %s: %w", name, err)
	}
	key := "view-" + rand.Text()[:12]
	snapshots := r.client.SnapshotService(r.snapshotter)
	last := context.WithoutCancel(ctx)
	defer func() {
		removeErr := snapshots.Remove(last, key)
		if errdefs.IsNotFound(removeErr) {
			removeErr = nil
		}
		err = errors.Join(err, removeErr, done(last))
	}()
	mounts, err := snapshots.View(ctx, key, identity.ChainID(layers).String())
	if err != nil {
		return fmt.Errorf("look into image %s: %w", name, err)
	}
	return r.mountView(filepath.Join(r.viewsDir(), key), mounts, view)
}

func (r *Runtime) mountView(dir string, mounts []mount.Mount, view func(root string) error) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defer func() {
		unmountErr := mount.UnmountAll(dir, 0)
		err = errors.Join(err, unmountErr)
		if unmountErr == nil {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	if err := mount.All(mounts, dir); err != nil {
		return fmt.Errorf("mount an image at %s: %w", dir, err)
	}
	return view(dir)
}

// sweepViews unmounts what a killed process left in dir.
func sweepViews(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there was none
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if err := mount.UnmountAll(path, 0); err != nil {
			return fmt.Errorf("unmount %s, left by a killed process: %w", path, err)
		}
		// Never recursively: should it still be mounted, the image stays whole.
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
