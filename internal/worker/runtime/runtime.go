// Package runtime says what the worker asks of a container runtime: images,
// containers, commands inside them, and the news of their ends. The agent
// knows this interface only; package containerd implements it.
//
// A container's ID is its task's ID. Every call is idempotent: to make what is
// there, or remove what is gone, is no error, because the caller may have been
// killed between a call and writing down that it made it.
package runtime

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// ErrNotFound is returned for a container or an image that does not exist.
var ErrNotFound = errors.New("not found")

// Runtime runs containers. All methods may be called from any goroutine.
type Runtime interface {
	Images
	Containers
}

// Images keeps images on this machine.
type Images interface {
	// Ensure returns the image of that canonical name, pulling it when it is
	// not here. A refusal carries the registry's own answer.
	Ensure(ctx context.Context, name string, registry RegistryAccess) (Image, error)
	// Import reads an OCI or Docker archive and returns the images in it.
	Import(ctx context.Context, archive io.Reader) ([]Image, error)
	List(ctx context.Context) ([]Image, error)
	// Remove forgets the image and lets its content be collected.
	Remove(ctx context.Context, name string) error
	// ViewRoot calls view with the path of a read-only mount of the image's
	// root filesystem, which is gone again when view returns.
	ViewRoot(ctx context.Context, name string, view func(root string) error) error
}

// Containers runs processes in containers.
type Containers interface {
	// Create makes the container and its root filesystem, not its process.
	Create(ctx context.Context, c Container) error
	// Start runs the container's process; on one that runs or has ended it
	// does nothing: to run it again, delete it and create it anew.
	Start(ctx context.Context, id string) error
	// Signal is delivered to the container's first process, if it runs.
	Signal(ctx context.Context, id string, signal syscall.Signal) error
	// Delete kills what still runs and removes the container and its root
	// filesystem. Its log files stay, since a container that is started anew
	// goes on writing them; logs.Remove removes them.
	Delete(ctx context.Context, id string) error
	// Status returns ErrNotFound for an unknown container.
	Status(ctx context.Context, id string) (Status, error)
	// ContainerIDs lists every container of this node's, running or not.
	ContainerIDs(ctx context.Context) ([]string, error)
	// Wait returns once the container's process has ended, at once when it
	// already has, also if that happened while this program was not running.
	// A container that was never started is an error.
	Wait(ctx context.Context, id string) (Exit, error)
	// Usage returns ErrNotFound for a container that does not run.
	Usage(ctx context.Context, id string) (Usage, error)
	// Freeze stops all processes of those of the containers that run where they
	// are, at one instant, and returns their IDs once none does anything any
	// more. They go on with thaw, which returns an error when they did before;
	// after the limit; and when this program ends, however it does.
	Freeze(ctx context.Context, ids []string, limit time.Duration) (frozen []string, thaw func() error, err error)
	// Thaw lets containers go on that may be frozen from before this program
	// was started.
	Thaw(ctx context.Context, ids []string) error
	// Exec runs a further process in a running container and returns its
	// exit code when it has ended. It is killed, with the processes that it
	// started, when ctx ends.
	Exec(ctx context.Context, id string, e Exec) (code int, err error)
}

// RegistryAccess is how to speak to the registry of one image.
type RegistryAccess struct {
	Username string
	// Password is asked for when it is needed, and not kept.
	Password func() (string, error)
	// PEM; trusted beside the system's.
	CACertificate []byte
	PlainHTTP     bool
}

// Image is an image on this machine.
type Image struct {
	Name   string
	Digest string
	// Compressed content, bytes.
	Size      int64
	CreatedAt time.Time
	// Paths that the image itself declares as volumes.
	Volumes []string
}

// Container is everything needed to make one.
type Container struct {
	ID    string
	Image string
	// Args replaces the image's command; nil keeps it.
	Args []string
	// Env is "NAME=value", after the image's own.
	Env      []string
	User     string
	Hostname string
	// NetNS is the path of a network namespace; empty is the host's.
	NetNS  string
	Mounts []Mount
	// ReadOnlyRoot leaves nothing but the mounts to be written to.
	ReadOnlyRoot bool
	// Capabilities that are added to Docker's default after the others, or
	// ALL, were taken from it.
	AddCapabilities, DropCapabilities []string
	Limits                            Limits
	// LogPath is the file that standard output and error go to, as lines of
	// package logs' format; rotated by the runtime.
	LogPath string
	Labels  map[string]string
}

// Limits are what a container may use; 0 is no limit.
type Limits struct {
	// Thousandths of one CPU.
	CPUMillis uint32
	// Bytes.
	Memory uint64
	// Processes and threads.
	Pids uint32
	IO   []IOLimit
}

// IOLimit bounds reads from, and writes to, the device with these numbers.
type IOLimit struct {
	Major, Minor        uint32
	BytesPerSecond      uint64
	OperationsPerSecond uint64
}

// Mount is a bind mount into the container.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}

// Status is what the runtime knows of a container now.
type Status struct {
	Running bool
	// Pid of the first process in the host's numbering; 0 when not running.
	Pid int
	// Exit is set once a started process has ended.
	Exit *Exit
	// StopSignal asks the process to end: the one that the image names, or
	// SIGTERM.
	StopSignal syscall.Signal
	// Mounts as they were asked for at Create.
	Mounts []Mount
	Labels map[string]string
}

// Exit is how a container's process ended.
type Exit struct {
	Code int
	At   time.Time
	// OutOfMemory: the kernel killed it because of its memory limit.
	OutOfMemory bool `json:",omitempty"`
}

// Usage is what a container has used since its start, and what it uses now.
type Usage struct {
	CPU time.Duration
	// Bytes to and from block devices.
	Read, Written uint64
	// Bytes now, without cached files that can be dropped at once.
	Memory uint64
	// Processes and threads now.
	Processes uint32
}

// Exec is a further process in a running container.
type Exec struct {
	Args    []string
	Env     []string
	User    string
	Workdir string
	TTY     bool
	Stdin   io.Reader
	Stdout  io.Writer
	// Stderr is not used with a TTY.
	Stderr io.Writer
	// Resize and Signal are read until the process ends; either may be nil.
	Resize <-chan Size
	Signal <-chan syscall.Signal
}

// Size is a terminal's.
type Size struct{ Rows, Columns uint32 }
