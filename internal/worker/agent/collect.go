package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	collectPeriod = time.Minute
	// Images go when less than collectBelow of the disk is free, the oldest
	// first, until collectUntil is.
	collectBelow = 0.10
	collectUntil = 0.15
	// collectAge spares what was just loaded for a service yet to come.
	collectAge = 10 * time.Minute
)

// collect removes unused images when the disk fills, until ctx ends.
func (a *Agent) collect(ctx context.Context) {
	tick := time.NewTicker(collectPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if disk, err := a.disk(); err == nil && disk.freeShare() < collectBelow {
			a.collectImages(ctx)
		}
	}
}

func (s space) freeShare() float64 {
	if s.total == 0 {
		return 1
	}
	return float64(s.free) / float64(s.total)
}

func (a *Agent) collectImages(ctx context.Context) {
	list, err := a.cfg.Runtime.List(ctx)
	if err != nil {
		a.log.Error("images cannot be listed", "error", err)
		return
	}
	for _, image := range collectable(list, a.imagesInUse(), time.Now()) {
		if err := a.cfg.Runtime.Remove(ctx, image.Name); err != nil {
			a.log.Error("an unused image was not removed", "image", image.Name, "error", err)
			continue
		}
		a.images.drop(image.Name)
		a.event("image", &warrenv1.Meta{Name: image.Name, Id: image.Digest}, "image-collected",
			fmt.Sprintf("image %s was removed, since no task of this node uses it and the disk is nearly full", image.Name))
		if disk, err := a.disk(); err != nil || disk.freeShare() >= collectUntil {
			return
		}
	}
}

// collectable returns the images that may go, the oldest first.
func collectable(list []runtime.Image, used map[string]bool, now time.Time) []runtime.Image {
	list = slices.DeleteFunc(slices.Clone(list), func(i runtime.Image) bool {
		return used[i.Name] || now.Sub(i.CreatedAt) < collectAge
	})
	slices.SortFunc(list, func(a, b runtime.Image) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func (a *Agent) imagesInUse() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	used := map[string]bool{}
	for _, t := range a.tasks {
		want, _ := t.current()
		if name, err := spec.ImageName(want.GetContainer().GetImage()); err == nil {
			used[name] = true
		}
	}
	return used
}
