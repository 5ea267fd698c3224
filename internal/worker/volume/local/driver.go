// Package local keeps volumes on the node's own filesystem: as plain
// directories, and those that have a limit as images with a filesystem of their
// own, mounted on such a directory for as long as the node is up.
//
//	<root>/                       0755
//	    <name>/                   a volume of the default namespace
//	    @<namespace>/<name>/      one of another namespace
//	    .meta/<name>              its marker: whose data the directory holds
//	    .meta/@<namespace>/<name>
//	    .images/<id>              the image of a volume with a limit
//	    .trash/<id>               a deleted volume: its directory, or its image
//	    .meta/.trash/<id>         its marker
//	    .stage-<id>/              what Populate has copied so far
//	    .full-<id>/               all of it, being moved into the volume
//	    .gone-<id>                a volume or a snapshot being removed for good
//	    .snapshots/<id>/          a snapshot: data/, and info.json beside it
//	    .snapshots/.taking-<id>/  one that is not complete
//	    .restored-<id>/           a snapshot's content, to become the volume's
//
// The filesystem in an image has the volume in its directory data, so that the
// volume begins empty, and what Populate copies lies beside it.
//
// The marker lies outside of the directory and names its volume by ID, so a
// directory that a person removed and restored from an archive is that volume
// again, a directory that vanished is never made up, and a volume created
// under the name of an older one never gets the other's data. A directory
// without a marker, such as one restored onto a new disk, belongs to the first
// volume of its name.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/volume"
)

// Driver is the volume.Driver called "local". It has no state of its own
// beside the directories.
type Driver struct {
	root string
	log  *slog.Logger
}

var (
	_ volume.Populator   = (*Driver)(nil)
	_ volume.Trasher     = (*Driver)(nil)
	_ volume.Resizer     = (*Driver)(nil)
	_ volume.Snapshotter = (*Driver)(nil)
)

// Open returns the driver of the volumes below root, which is made, with its
// parents, where it does not exist.
func Open(root string, log *slog.Logger) (*Driver, error) {
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("volume directory %q must be an absolute path", root)
	}
	// Containers' users must reach their own volume and list nothing else.
	if err := os.MkdirAll(filepath.Dir(root), 0o711); err != nil {
		return nil, err
	}
	if err := makeDir(os.Mkdir, os.Chmod, root, 0o755); err != nil {
		return nil, err
	}
	for _, dir := range []string{metaDir, imagesDir, trashDir, snapshotsDir} {
		if err := makeDir(os.Mkdir, os.Chmod, filepath.Join(root, dir), 0o700); err != nil {
			return nil, err
		}
	}
	return &Driver{root: root, log: log}, nil
}

// Capabilities are all there are.
func (d *Driver) Capabilities() volume.Capabilities {
	return volume.Capabilities{Usage: true, Populate: true, Trash: true, Size: true, Snapshots: true}
}

// Path returns the volume's directory.
func (d *Driver) Path(v volume.Volume) string {
	return spec.VolumePath(d.root, v.Namespace, v.Name)
}

// Create makes the directory, owned by root, 0755, or the image. A directory
// that is there already and has no owner becomes the volume, with what is in it.
func (d *Driver) Create(ctx context.Context, v volume.Volume) error {
	p, err := d.open(v)
	if err != nil {
		return err
	}
	defer p.Close()
	if v.Source != "" && (p.marker.ID == v.ID || p.marker.ID == "") {
		return p.createCopy(ctx, v.Source)
	}
	there, err := p.has()
	if err != nil {
		return err
	}
	switch {
	case p.marker.ID == v.ID && there:
		return nil
	case p.marker.ID == v.ID:
		return d.vanished(v)
	case p.marker.ID != "":
		if taken, err := p.exists(); err != nil || taken {
			return errors.Join(err, fmt.Errorf("%w: %s still holds the data of another volume, %s; move the directory away to keep it, then create the volume again",
				volume.ErrBusy, d.Path(v), p.marker.ID))
		}
	}
	switch {
	case v.Source != "":
		return p.createCopy(ctx, v.Source)
	case p.sized:
		err = p.makeImage(ctx, nil)
	case there:
		d.log.Info("volume takes over a directory that was there", "volume", v.Name, "id", v.ID, "path", d.Path(v))
	default:
		err = p.makeDir()
	}
	if err != nil {
		return err
	}
	return p.mark(marker{ID: v.ID})
}

// Stage returns the volume's directory, on which a volume with a limit is then
// mounted.
func (d *Driver) Stage(_ context.Context, v volume.Volume) (string, error) {
	p, err := d.open(v)
	if err != nil {
		return "", err
	}
	defer p.Close()
	there, err := p.has()
	switch {
	case err != nil:
		return "", err
	case !there:
		return "", d.vanished(v)
	case p.marker.ID == "":
		d.log.Info("directory without a marker taken for the volume of its name", "volume", v.Name, "id", v.ID, "path", d.Path(v))
		if err := p.mark(marker{ID: v.ID}); err != nil {
			return "", err
		}
	case p.marker.ID != v.ID:
		return "", fmt.Errorf("%w: %s holds the data of another volume, %s; put its own data back from a backup, or delete the volume", volume.ErrNotFound, d.Path(v), p.marker.ID)
	}
	if p.sized {
		return d.Path(v), p.mount()
	}
	return d.Path(v), p.finishPopulate()
}

// Unstage does nothing: a directory needs no undoing, and what is mounted stays
// so for who looks at it on the node.
func (d *Driver) Unstage(_ context.Context, v volume.Volume) error {
	_, err := place(v)
	return err
}

func (d *Driver) vanished(v volume.Volume) error {
	what := "directory " + d.Path(v)
	if v.SizeBytes > 0 {
		what = "image " + filepath.Join(d.root, imagesDir, v.ID)
	}
	return fmt.Errorf("%w: its %s is gone; restore it from a backup, or delete the volume", volume.ErrNotFound, what)
}

var validID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// place returns where the volume's directory is below root. What the manager
// sends was checked there; here a name is about to become a path.
func place(v volume.Volume) (string, error) {
	if err := spec.ValidName(spec.KindVolume, v.Name); err != nil {
		return "", err
	}
	if err := spec.ValidNamespace(v.Namespace); err != nil {
		return "", err
	}
	if !validID.MatchString(v.ID) {
		return "", fmt.Errorf("volume %s: %q is no volume's ID", v.Name, v.ID)
	}
	return spec.VolumePath("", v.Namespace, v.Name), nil
}

// makeDir makes one directory with exactly that mode, whatever the umask is;
// one that exists is left as it is.
func makeDir(mkdir, chmod func(string, fs.FileMode) error, path string, mode fs.FileMode) error {
	err := mkdir(path, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return chmod(path, mode)
}

// isEmpty reports whether the directory has no entries.
func isEmpty(dir *os.File) (bool, error) {
	_, err := dir.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}
