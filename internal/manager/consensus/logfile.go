package consensus

import (
	"os"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
	"golang.org/x/sys/unix"
)

// logFiles are the files of the log, made so that syncing an entry writes the
// entry and nothing else. A file system marks space that was only set aside as
// unwritten, and each first write there changes that mark, which is a commit of
// its journal: so zeros go ahead of the entries, many at a time, and then a sync
// of the data alone does.
type logFiles struct{ *fs.FS }

// ahead is how far the zeros go at once, in bytes.
const ahead = 1 << 20

// Create makes a file of that size.
func (l logFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := l.FS.Create(dir, name, size)
	if err != nil {
		return nil, err
	}
	created := f.(*fs.File)
	return &logFile{File: &created.File, first: created.Sync, size: int64(size)}, nil
}

// OpenWriter opens a file that is written on. What follows the next write is
// what a crash left of an entry that nobody was told of, if anything.
func (l logFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := l.FS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	file := f.(*os.File)
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &logFile{File: file, first: file.Sync, size: info.Size()}, nil
}

// logFile is written from its start to its end.
type logFile struct {
	*os.File
	// first syncs the file and that it exists; nil when that is done.
	first func() error
	// written is where bytes end that have been written, entries or zeros.
	written, size int64
}

// WriteAt writes, and puts zeros ahead when the last ones are used up.
func (f *logFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	end := at + int64(n)
	if err != nil || end <= f.written || end >= f.size {
		return n, err
	}
	zeros := make([]byte, min(ahead, f.size-end))
	if _, err := f.File.WriteAt(zeros, end); err != nil {
		return n, err
	}
	f.written = end + int64(len(zeros))
	return n, nil
}

// Sync makes durable what was written; the first time, also that there is such
// a file.
func (f *logFile) Sync() error {
	if f.first != nil {
		if err := f.first(); err != nil {
			return err
		}
		f.first = nil
		return nil
	}
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
