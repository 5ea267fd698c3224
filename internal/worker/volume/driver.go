// Package volume is what the worker knows of storage: the drivers' interface,
// and the Manager that calls them with one queue per volume and a deadline on
// every call, so that one bad volume never blocks another.
//
// The interface has CSI's shape (create, stage, publish and their opposites)
// and its first rule: every call is idempotent, since the caller may be killed
// between a call and writing down that it made it. Package conformance is the
// suite that every driver passes.
package volume

import (
	"context"
	"errors"
)

var (
	// ErrNotFound is returned for a volume that the driver does not have.
	ErrNotFound = errors.New("volume not found")
	// ErrBusy is returned when something still uses the volume.
	ErrBusy = errors.New("volume is in use")
	// ErrUnsupported is returned for a call that Capabilities rules out.
	ErrUnsupported = errors.New("not supported by this driver")
)

// Capabilities says which of the optional calls a driver answers.
type Capabilities struct {
	// Usage can be measured.
	Usage bool
	// A new volume can take over what the image has at its path.
	Populate bool
	// A volume can be put aside and taken back.
	Trash bool
	// A volume can have a limit, and be given a higher one.
	Size bool
	// What a volume holds can be kept, and taken over again.
	Snapshots bool
}

// Usage is how full a volume is.
type Usage struct {
	// Bytes that it takes on its storage.
	Bytes uint64
	// Capacity is at how many bytes it is full; 0 when nothing but the node's
	// disk limits it.
	Capacity uint64
}

// Volume names a volume to a driver.
type Volume struct {
	ID        string
	Namespace string
	Name      string
	// Driver is the name of the driver that keeps it.
	Driver  string
	Options map[string]string
	// SizeBytes is the most that it may take; 0 is no limit.
	SizeBytes uint64
	// Source is the snapshot that it is made as a copy of; none when empty.
	Source string
}

// Driver keeps volumes of one kind on, or reachable from, this node. The
// Manager makes at most one call at a time for each volume, and Usage beside
// it; calls for different volumes run side by side. A call ends soon after its
// context does.
type Driver interface {
	Capabilities() Capabilities
	// Path is where Stage makes the volume reachable; it touches no storage.
	Path(v Volume) string
	// Create makes the volume's storage, empty or as a copy of its Source. Storage that was made before
	// and has vanished since is ErrNotFound, never made again.
	Create(ctx context.Context, v Volume) error
	// Delete removes the storage with everything in it. Gone is no error.
	Delete(ctx context.Context, v Volume) error
	// Stage makes the volume reachable on this node and returns the path to
	// bind into containers. ErrNotFound when there is no such storage: it is
	// never made up.
	Stage(ctx context.Context, v Volume) (path string, err error)
	// Unstage undoes Stage; without one before it, it does nothing.
	Unstage(ctx context.Context, v Volume) error
	// Usage measures the volume.
	Usage(ctx context.Context, v Volume) (Usage, error)
}

// Trasher is a driver with the Trash capability.
type Trasher interface {
	// Trash puts the volume aside with all its data, so that another one can
	// have its name. Delete removes it from there; Stage does not find it.
	// ErrNotFound when there is no data.
	Trash(ctx context.Context, v Volume) error
	// Untrash takes the volume back, which may have another name by now. One
	// that is not in the trash stays as it is. ErrBusy when something else is
	// in its place.
	Untrash(ctx context.Context, v Volume) error
}

// Resizer is a driver with the Size capability.
type Resizer interface {
	// Resize gives a volume that has a limit at least that of SizeBytes, while
	// it is in use if that can be, and returns which it has. It never shrinks.
	// ErrBusy when that needs the volume for itself.
	Resize(ctx context.Context, v Volume) (limit uint64, err error)
}

// Populator is a driver with the Populate capability.
type Populator interface {
	// Populate copies content and ownership of the directory at source into
	// the volume when the volume is new and still empty, at most once in its
	// life; after a crash half way the volume is new and empty, or the next
	// call to Stage completes it. A source that is no directory leaves the
	// volume as it is and counts as that once.
	Populate(ctx context.Context, v Volume, source string) error
}
