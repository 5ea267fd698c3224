package local

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"

	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

// placed is one volume's place below the root, opened for the time of a call:
// the root may be mounted or replaced between calls.
type placed struct {
	root *os.Root
	// The volume's directory, and its absolute path for messages.
	rel, path string
	id        string
	marker    marker
	// sized: the data is in an image with a filesystem of its own, of size
	// bytes, that is mounted on the directory.
	sized bool
	size  uint64

	// area has the directory data, and room for what is made beside it: the
	// root, or, once it was entered, a sized volume's filesystem.
	area *os.Root
	data string
	log  *slog.Logger
}

// open finds the volume's place and reads its marker, which is empty when
// there is none.
func (d *Driver) open(v volume.Volume) (*placed, error) {
	rel, err := place(v)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return nil, err
	}
	p := &placed{root: root, rel: rel, path: d.Path(v), id: v.ID, sized: v.SizeBytes > 0, size: v.SizeBytes, area: root, data: rel, log: d.log}
	if p.marker, err = readMarker(root, rel); err != nil {
		root.Close()
		return nil, err
	}
	return p, nil
}

func (p *placed) Close() error {
	p.leave()
	return p.root.Close()
}

// content is where the volume's data is, below the root.
func (p *placed) content() string {
	if p.sized {
		return p.image()
	}
	return p.rel
}

// has reports whether the data is there.
func (p *placed) has() (bool, error) {
	if !p.sized {
		return p.exists()
	}
	_, err := p.root.Lstat(p.image())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// exists reports whether the volume's directory is there, and refuses what is
// there and no directory.
func (p *placed) exists() (bool, error) {
	info, err := p.root.Lstat(p.rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.Mode().Type() == fs.ModeSymlink:
		return false, fmt.Errorf("%s is a symbolic link; to keep a volume elsewhere, use mount --bind ELSEWHERE %s", p.path, p.path)
	case !info.IsDir():
		return false, fmt.Errorf("%s is no directory; move it away", p.path)
	}
	return true, nil
}

// makeParent makes the directory of the volume's namespace.
func (p *placed) makeParent() error {
	if dir := path.Dir(p.rel); dir != "." {
		return makeDir(p.root.Mkdir, p.root.Chmod, dir, 0o755)
	}
	return nil
}

func (p *placed) makeDir() error {
	if err := p.makeParent(); err != nil {
		return err
	}
	if err := makeDir(p.root.Mkdir, p.root.Chmod, p.rel, 0o755); err != nil {
		return err
	}
	return p.sync(path.Dir(p.rel))
}

func (p *placed) mark(m marker) error {
	p.marker = m
	return writeMarker(p.root, p.rel, m)
}

// dir opens the volume's directory, which may be a mount point.
func (p *placed) dir() (*os.File, error) {
	top, err := p.area.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	return openBeneath(top, p.data, 0)
}

// beside opens a directory of this volume's that lies directly in its area;
// fs.ErrNotExist when there is none.
func (p *placed) beside(name string) (*os.File, error) {
	top, err := p.area.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	return openBeneath(top, name, unix.RESOLVE_NO_XDEV)
}

// sync makes the names in a directory durable.
func (p *placed) sync(dir string) error {
	return syncDir(p.root, dir)
}

func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// openBeneath opens the directory rel below dir, through no symbolic link.
// With unix.RESOLVE_NO_XDEV it crosses no mount either, bind mounts included.
func openBeneath(dir *os.File, rel string, resolve uint64) (*os.File, error) {
	return openat(dir, rel, unix.O_DIRECTORY, resolve)
}

func openat(dir *os.File, rel string, flags, resolve uint64) (*os.File, error) {
	how := &unix.OpenHow{
		Flags:   flags | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolve | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	name := dir.Name() + "/" + rel
	for {
		fd, err := unix.Openat2(int(dir.Fd()), rel, how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), name), nil
		case err != unix.EINTR && err != unix.EAGAIN:
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}
