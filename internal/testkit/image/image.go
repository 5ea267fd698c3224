// Package image makes the container images of tests and the demo from Debian's
// packages, without a registry and without a container: the packages' files
// become a layer. The machine needs apt and dpkg, and its package lists.
package image

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is an image with the name it is imported under.
type Image struct {
	Name string
	v1.Image
}

// makers say how to make the images that there are.
var makers = map[string]func(context.Context) (Image, error){
	"busybox":  Busybox,
	"postgres": Postgres,
}

// Make makes the image of that short name.
func Make(ctx context.Context, name string) (Image, error) {
	maker := makers[name]
	if maker == nil {
		return Image{}, fmt.Errorf("no recipe for image %q; there are busybox and postgres", name)
	}
	return maker(ctx)
}

// assemble puts layers and configuration together.
func assemble(name string, config v1.Config, layers ...v1.Layer) (Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(image, layers...)
	if err != nil {
		return Image{}, fmt.Errorf("make image %s: %w", name, err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		return Image{}, fmt.Errorf("make image %s: %w", name, err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", architecture, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return Image{}, fmt.Errorf("make image %s: %w", name, err)
	}
	return Image{name, image}, nil
}
