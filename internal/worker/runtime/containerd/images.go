package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Ensure returns the image of that canonical name, pulling it when it is not
// here. A refusal carries the registry's own answer.
func (r *Runtime) Ensure(ctx context.Context, name string, access runtime.RegistryAccess) (runtime.Image, error) {
	ctx = r.in(ctx)
	image, err := r.client.GetImage(ctx, name)
	if err == nil {
		if err := r.unpack(ctx, image); err == nil {
			return describe(ctx, image)
		} else if !errdefs.IsNotFound(err) {
			return runtime.Image{}, fmt.Errorf("unpack image %s: %w", name, err)
		}
		// Part of its content is gone, so it is pulled again.
	} else if !errdefs.IsNotFound(err) {
		return runtime.Image{}, fmt.Errorf("look for image %s: %w", name, err)
	}
	image, err = r.pull(ctx, name, access)
	if err != nil {
		return runtime.Image{}, err
	}
	return describe(ctx, image)
}

func (r *Runtime) pull(ctx context.Context, name string, access runtime.RegistryAccess) (client.Image, error) {
	puller, err := newPuller(access)
	if err != nil {
		return nil, fmt.Errorf("pull image %s: %w", name, err)
	}
	defer puller.close()
	image, err := r.client.Pull(ctx, name,
		client.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: puller.hosts})),
		client.WithPullSnapshotter(r.snapshotter),
		client.WithPullUnpack,
	)
	if err != nil {
		if answer := puller.answer(ctx); answer != "" {
			err = fmt.Errorf("the registry answered %q: %w", answer, err)
		}
		return nil, fmt.Errorf("pull image %s: %w", name, notFound(err))
	}
	return image, nil
}

// unpack makes the image's root filesystem, unless it is there.
func (r *Runtime) unpack(ctx context.Context, image client.Image) error {
	done, err := image.IsUnpacked(ctx, r.snapshotter)
	if err != nil || done {
		return err
	}
	return image.Unpack(ctx, r.snapshotter)
}

// List returns the images on this machine.
func (r *Runtime) List(ctx context.Context) ([]runtime.Image, error) {
	ctx = r.in(ctx)
	all, err := r.client.ListImages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var list []runtime.Image
	for _, image := range all {
		described, err := describe(ctx, image)
		if errors.Is(err, runtime.ErrNotFound) {
			continue // removed meanwhile, or not for this platform
		}
		if err != nil {
			return nil, err
		}
		list = append(list, described)
	}
	return list, nil
}

// Remove forgets the image and lets its content be collected.
func (r *Runtime) Remove(ctx context.Context, name string) error {
	err := r.client.ImageService().Delete(r.in(ctx), name, images.SynchronousDelete())
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", name, err)
	}
	return nil
}

func describe(ctx context.Context, image client.Image) (runtime.Image, error) {
	size, err := image.Size(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("measure image %s: %w", image.Name(), notFound(err))
	}
	config, err := image.Spec(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("read the configuration of image %s: %w", image.Name(), notFound(err))
	}
	return runtime.Image{
		Name:      image.Name(),
		Digest:    image.Target().Digest.String(),
		Size:      size,
		CreatedAt: image.Metadata().CreatedAt.UTC(),
		Volumes:   slices.Sorted(maps.Keys(config.Config.Volumes)),
	}, nil
}
