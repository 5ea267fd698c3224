package seal

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Values of <asm-generic/mman-common.h> that package syscall lacks.
const (
	madvDontDump   = 16
	madvWipeOnFork = 18
)

// pages is a private anonymous mapping: memory outside the Go heap, which the
// garbage collector neither copies nor reuses. It holds an address, not a
// slice, so that printers that follow pointers by reflection find no bytes.
type pages struct {
	addr unsafe.Pointer
	size int
}

// mapPages maps at least n zeroed bytes that are kept out of core dumps and of
// forked children, and tries to lock them into RAM. The second result tells
// whether they are locked.
func mapPages(n int) (pages, bool, error) {
	page := syscall.Getpagesize()
	size := max(1, (n+page-1)/page) * page
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return pages{}, false, fmt.Errorf("memory for a secret of %d bytes: %w", n, err)
	}
	if err := syscall.Madvise(b, madvDontDump); err != nil {
		_ = syscall.Munmap(b)
		return pages{}, false, fmt.Errorf("keep a secret out of core dumps: %w", err)
	}
	// Both are best effort: old kernels lack the first, and RLIMIT_MEMLOCK may
	// forbid the second.
	_ = syscall.Madvise(b, madvWipeOnFork)
	locked := syscall.Mlock(b) == nil
	return pages{addr: unsafe.Pointer(unsafe.SliceData(b)), size: size}, locked, nil
}

func (p pages) bytes() []byte { return unsafe.Slice((*byte)(p.addr), p.size) }

// release wipes the memory and gives it back; unmapping also unlocks.
func (p pages) release() {
	b := p.bytes()
	clear(b)
	_ = syscall.Munmap(b)
}

// CheckLock tells why memory for secrets cannot be locked into RAM, or nil.
// Locking is best effort; a node says so in its log when this fails.
func CheckLock() error {
	p, locked, err := mapPages(1)
	if err != nil {
		return err
	}
	defer p.release()
	if locked {
		return nil
	}
	return fmt.Errorf("lock memory: %w: secrets in use may reach swap; "+
		"raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)", syscall.Mlock(p.bytes()))
}

// NoDumps keeps this process out of core dumps altogether, and other processes
// of its user from reading its memory: what the standard library copied to the
// heap is then safe from them too. Programs that it starts are not affected.
func NoDumps() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return fmt.Errorf("turn core dumps of this process off: %w", errno)
	}
	return nil
}
