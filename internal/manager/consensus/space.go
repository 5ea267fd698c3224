package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/manager/store"
)

// space keeps the disk from filling up under Raft, which could not go on. A
// file of bytes is set aside while there is room. When the disk is nearly full
// only transactions that free space are admitted, and for those the file is
// given up piece by piece, right before they need it: whatever else is filling
// the disk would take what is given up early. When there is room again, it is
// set aside anew. Sizes are in bytes.
type space struct {
	dir     string
	reserve int64 // set aside
	low     int64 // with less than this free, the disk is nearly full
	log     *slog.Logger

	mu sync.Mutex
	// coming is admitted but not yet written.
	coming int64
	full   bool
}

const (
	defaultReserve = 64 << 20
	minSegment     = 2 << 20
	// copies is how many times a transaction's bytes are written at most before
	// it is done: to the log, and to warren.db with the pages around it.
	copies = 4
)

// newSpace sets the reserve aside; 0 asks for the default, which is less on
// small disks.
func newSpace(dir string, reserve int64, log *slog.Logger) (*space, error) {
	s := &space{dir: dir, reserve: reserve, log: log}
	if s.reserve == 0 {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return nil, fmt.Errorf("look at the disk of %s: %w", dir, err)
		}
		s.reserve = min(defaultReserve, int64(fs.Blocks)*fs.Bsize/8)
	}
	// The log needs a whole segment at once, whenever one is used up.
	s.low = 2 * int64(s.segment())
	s.full = true // until the reserve is there
	if err := s.look(); err != nil {
		return nil, err
	}
	// A start writes too; should even that not fit, it says so itself.
	if err := s.makeRoom(s.low); err != nil && !errors.Is(err, store.ErrDiskFull) {
		return nil, err
	}
	return s, nil
}

// segment is the size of the log's files, by the size of the reserve that has
// to make room for them.
func (s *space) segment() int { return int(min(max(s.reserve/4, minSegment), 16<<20)) }

func (s *space) path() string { return filepath.Join(s.dir, "reserve") }

// admit asks for room for a transaction, and gives it back with release.
func (s *space) admit(bytes int64, reclaim bool) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.lookLocked()
	if err != nil {
		return nil, err
	}
	need := copies * (s.coming + bytes)
	switch {
	case !reclaim && (s.full || free-need < s.low):
		return nil, store.ErrDiskFull
	case reclaim:
		if err := s.makeRoom(need); err != nil {
			return nil, err
		}
	}
	s.coming += bytes
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.coming -= bytes
	}, nil
}

// look brings what is believed of the disk up to date.
func (s *space) look() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.lookLocked()
	return err
}

func (s *space) lookLocked() (free int64, err error) {
	if free, err = s.free(); err != nil {
		return 0, err
	}
	switch {
	case !s.full && free < s.low:
		s.full = true
		s.log.Error("the disk is nearly full: only deletions are accepted until space is freed", "directory", s.dir, "free_bytes", free)
	case s.full && free+s.held() >= s.reserve+2*s.low:
		if err := s.setAside(); err != nil {
			s.log.Warn("no space can be set aside yet", "error", err)
			return free, nil
		}
		s.full = false
		s.log.Info("space is set aside for when the disk is full", "bytes", s.reserve)
	default:
		return free, nil
	}
	return s.free()
}

// roomFor says whether a snapshot of that size may be written now.
func (s *space) roomFor(bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.free()
	if err != nil {
		return err
	}
	if s.full || free-bytes < 2*s.low {
		return fmt.Errorf("a snapshot of %d bytes has to wait: %w", bytes, store.ErrDiskFull)
	}
	return nil
}

func (s *space) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

func (s *space) free() (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", s.dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// held is how much of the disk the reserve has now.
func (s *space) held() int64 {
	var stat unix.Stat_t
	if unix.Stat(s.path(), &stat) != nil {
		return 0
	}
	return stat.Blocks * 512
}

func (s *space) setAside() error {
	f, err := os.OpenFile(s.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, s.reserve); err != nil {
		return errors.Join(err, f.Truncate(0), f.Close())
	}
	return f.Close()
}

// makeRoom gives up as much of the reserve as it takes to have need bytes free,
// and a segment of the log beside. ErrDiskFull when all of it is not enough.
func (s *space) makeRoom(need int64) error {
	want := need + int64(s.segment())
	for {
		free, err := s.free()
		if err != nil || free >= want {
			return err
		}
		held := s.held()
		if held == 0 {
			return s.lastBytes(need)
		}
		left := max(0, held-max(want-free, int64(s.segment())))
		s.log.Warn("the disk is full: giving up reserved space for a deletion", "bytes", held-left, "left", left)
		if err := os.Truncate(s.path(), left); err != nil {
			return err
		}
	}
}

// lastBytes looks at what the filesystem keeps for root (ext4 a twentieth):
// where something else of root's has filled the disk, that is all there is.
func (s *space) lastBytes(need int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", s.dir, err)
	}
	if int64(fs.Bfree)*fs.Bsize < need {
		return store.ErrDiskFull
	}
	return nil
}
