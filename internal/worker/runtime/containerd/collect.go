package containerd

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/images"
	"golang.org/x/sys/unix"
)

// CollectImages removes images, those not used for longest first, while fewer
// than lowWaterBytes are free where images are kept. It keeps what inUse says
// of a canonical name and what a container was made of, and returns the names
// it removed.
func (r *Runtime) CollectImages(ctx context.Context, inUse func(name string) bool, lowWaterBytes uint64) ([]string, error) {
	ctx = r.in(ctx)
	containers, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("collect images: %w", err)
	}
	used := map[string]bool{}
	for _, c := range containers {
		used[c.Image] = true
	}
	all, err := r.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("collect images: %w", err)
	}
	slices.SortFunc(all, func(a, b images.Image) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
	var removed []string
	for _, image := range all {
		free, err := freeBytes(r.dataDir)
		if err != nil || free >= lowWaterBytes {
			return removed, err
		}
		if used[image.Name] || inUse(image.Name) {
			continue
		}
		if err := r.Remove(ctx, image.Name); err != nil {
			return removed, err
		}
		removed = append(removed, image.Name)
	}
	return removed, nil
}

// freeBytes is what is left on path's filesystem for others than root.
func freeBytes(path string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("measure the free space at %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
