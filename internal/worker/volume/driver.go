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
}

// Volume names a volume to a driver.
type Volume struct {
	ID        string
	Namespace string
	Name      string
	// Driver is the name of the driver that keeps it.
	Driver  string
	Options map[string]string
}

// Driver keeps volumes of one kind on, or reachable from, this node. The
// Manager makes at most one call at a time for each volume, and Usage beside
// it; calls for different volumes run side by side. A call ends soon after its
// context does.
type Driver interface {
	Capabilities() Capabilities
	// Path is where Stage makes the volume reachable; it touches no storage.
	Path(v Volume) string
	// Create makes the volume's storage, empty. Storage that was made before
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
	// Usage returns the bytes that the volume takes on its storage.
	Usage(ctx context.Context, v Volume) (bytes uint64, err error)
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
