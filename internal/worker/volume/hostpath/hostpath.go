// Package hostpath lets containers have files and directories of their node
// that are no volumes: it finds out what a path leads to, and refuses what is
// Warren's own. It makes and removes nothing.
package hostpath

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/volume"
)

// Driver is the volume.Driver called volume.DriverHost.
type Driver struct{ own []string }

// New returns a driver that refuses what lies in Warren's own directories.
func New(own ...string) *Driver { return &Driver{own} }

// Capabilities are none.
func (*Driver) Capabilities() volume.Capabilities { return volume.Capabilities{} }

// Path returns the path itself.
func (*Driver) Path(v volume.Volume) string { return v.ID }

// Create is not what such a path is for.
func (*Driver) Create(context.Context, volume.Volume) error { return volume.ErrUnsupported }

// Delete is not what such a path is for.
func (*Driver) Delete(context.Context, volume.Volume) error { return volume.ErrUnsupported }

// Stage returns what the path leads to through all symbolic links.
func (d *Driver) Stage(_ context.Context, v volume.Volume) (string, error) {
	path, err := filepath.EvalSymlinks(v.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: there is no %s on this node; make it there, or keep the service where it is with --constraint", volume.ErrNotFound, v.ID)
	}
	if err != nil {
		return "", err
	}
	for _, dir := range d.own {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		if err := spec.MayBind(path, []string{dir}); err != nil {
			return "", err
		}
	}
	return path, nil
}

// Unstage does nothing.
func (*Driver) Unstage(context.Context, volume.Volume) error { return nil }

// Usage is nobody's business.
func (*Driver) Usage(context.Context, volume.Volume) (volume.Usage, error) {
	return volume.Usage{}, volume.ErrUnsupported
}
