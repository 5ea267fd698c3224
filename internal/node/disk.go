package node

import "golang.org/x/sys/unix"

// space measures the filesystem of the data directory, in bytes. What is kept
// for root counts neither as free nor as there.
func (l Layout) space() (total, free uint64, err error) {
	var fs unix.Statfs_t
	err = unix.Statfs(l.Data, &fs)
	return (fs.Blocks - fs.Bfree + fs.Bavail) * uint64(fs.Bsize), fs.Bavail * uint64(fs.Bsize), err
}
