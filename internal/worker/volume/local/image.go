package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/volume"
	"golang.org/x/sys/unix"
)

const (
	// imagesDir holds the images of volumes with a limit, by their IDs.
	imagesDir = ".images"
	// dataDir is the volume in its image's filesystem.
	dataDir = "data"
	// leastXFS is what mkfs.xfs takes at least. XFS is preferred for what is
	// larger: it grows while in use without any capability.
	leastXFS = 300 << 20
)

// image is where a sized volume's data is.
func (p *placed) image() string { return path.Join(imagesDir, p.id) }

// draft is where it is being made.
func (p *placed) draft() string { return path.Join(imagesDir, ".new-"+p.id) }

// makeImage makes an image with a volume in it: empty, or as fill makes it.
func (p *placed) makeImage(ctx context.Context, fill func(data *os.File) error) error {
	there, err := p.has()
	if err != nil || there {
		return err // killed before it was marked
	}
	if err := p.mayMountOn(); err != nil {
		return err
	}
	if err := p.buildImage(ctx, p.draft(), fill); err != nil {
		return err
	}
	if err := p.root.Rename(p.draft(), p.image()); err != nil {
		return err
	}
	return p.sync(imagesDir)
}

// buildImage makes the image with that name, which is on the disk when it
// returns. All of its blocks are reserved: a full disk is noticed here, and
// never by who writes to the volume.
func (p *placed) buildImage(ctx context.Context, draft string, fill func(data *os.File) error) (err error) {
	defer func() {
		if err != nil {
			_ = p.root.Remove(draft)
		}
	}()
	// One that an earlier attempt left may still be behind a device.
	if err := p.root.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := p.root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.reserve(f, p.size); err != nil {
		return err
	}
	if err := makeFilesystem(ctx, path.Join(p.root.Name(), draft), p.size); err != nil {
		return err
	}
	// Whatever mkfs has let go of comes back.
	if err := p.reserve(f, p.size); err != nil {
		return err
	}
	if err := makeData(f, fill); err != nil {
		return err
	}
	return f.Sync()
}

// reserve gives the image blocks of the disk for all of its size. It does not
// even try when there are too few, for that would fill the disk for a moment.
func (p *placed) reserve(f *os.File, size uint64) error {
	var disk unix.Statfs_t
	var st unix.Stat_t
	if err := errors.Join(unix.Fstatfs(int(f.Fd()), &disk), unix.Fstat(int(f.Fd()), &st)); err != nil {
		return &fs.PathError{Op: "measure", Path: f.Name(), Err: err}
	}
	free, err := disk.Bavail*uint64(disk.Bsize), error(unix.ENOSPC)
	if uint64(st.Blocks)*512+free >= size {
		err = unix.Fallocate(int(f.Fd()), 0, 0, int64(size))
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("%w: the disk of this node has no room for %s: %s are free", unix.ENOSPC, spec.FormatSize(size), spec.FormatSize(free))
	}
	if err != nil {
		return &fs.PathError{Op: "reserve", Path: f.Name(), Err: err}
	}
	return nil
}

// makeData makes the directory that is the volume, owned by root, 0755, unless
// fill makes it otherwise.
func makeData(image *os.File, fill func(data *os.File) error) error {
	top, err := openFilesystem(image)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := unix.Mkdirat(int(top.Fd()), dataDir, 0o755); err != nil && err != unix.EEXIST {
		return &fs.PathError{Op: "mkdir", Path: dataDir, Err: err}
	}
	if err := unix.Fchmodat(int(top.Fd()), dataDir, 0o755, 0); err != nil {
		return &fs.PathError{Op: "chmod", Path: dataDir, Err: err}
	}
	if fill == nil {
		return nil // it is on the disk once it is unmounted and the image is synced
	}
	data, err := openBeneath(top, dataDir, unix.RESOLVE_NO_XDEV)
	if err != nil {
		return err
	}
	defer data.Close()
	return fill(data)
}

// makeFilesystem runs the mkfs that suits the size. No blocks are discarded: it
// would give them back to the disk.
func makeFilesystem(ctx context.Context, image string, size uint64) error {
	ext4 := []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", image}
	xfs := []string{"mkfs.xfs", "-q", "-K", image}
	order := [][]string{ext4}
	if size >= leastXFS {
		order = [][]string{xfs, ext4}
	}
	for _, args := range order {
		program, err := findProgram(args[0])
		if err == nil {
			return runProgram(ctx, program, args[1:]...)
		}
	}
	return fmt.Errorf("a volume with a limit needs %s, which this node lacks; install it: apt-get install e2fsprogs xfsprogs", order[0][0])
}

// findProgram also looks where root's PATH should lead to.
func findProgram(name string) (string, error) {
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if found, err := exec.LookPath(dir + name); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// runProgram ends the program with the context.
func runProgram(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(out))
		return fmt.Errorf("%s: %s (%w)", path.Base(program), cmp.Or(said, "it said nothing"), err)
	}
	return nil
}

// measureFilesystem tells how full a mounted volume is.
func (p *placed) measureFilesystem(dir *os.File) (volume.Usage, error) {
	if mounted, err := p.mounted(); err != nil || !mounted {
		return volume.Usage{}, errors.Join(err, fmt.Errorf("%w: %s is not mounted", volume.ErrNotFound, p.path))
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return volume.Usage{}, &fs.PathError{Op: "statfs", Path: p.path, Err: err}
	}
	size := uint64(st.Bsize)
	return volume.Usage{Bytes: (st.Blocks - st.Bfree) * size, Capacity: st.Blocks * size}, nil
}
