// Package containerd runs containers with containerd, which is inside the
// warren process unless the address of another one is given.
//
// A running container is kept by its shim, a process of its own, so that
// warren can be restarted, killed or upgraded while containers run on. What
// follows from that shapes this package:
//
//   - Ends that happened while warren was down are asked of the shims before
//     containerd is started, since containerd forgets them (harvest.go), and
//     every end is kept in a file until the container is deleted (run.go).
//   - Paths that records of containers hold stay the same over versions.
//   - Output goes to log files through a helper process, never through pipes
//     that somebody would have to read.
//
// Below the data directory: containerd/ is containerd's own, containerd/runs/
// has one file per started container, helpers/ the helper programs. Below the
// run directory: containerd/ is state that ends with the boot, s/ the shims'
// sockets, fifo/ the pipes of commands run in containers, views/ mounted
// images, and containerd.sock is containerd's API.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/cuemby/warren/internal/worker/runtime"
	"github.com/cuemby/warren/internal/worker/runtime/programs"
)

// Namespace is containerd's namespace of Warren's containers and images.
const Namespace = "warren"

var _ runtime.Runtime = (*Runtime)(nil)

// Options say where a Runtime lives. Paths are absolute.
type Options struct {
	DataDir string
	RunDir  string
	// Address is the socket of a containerd to use instead of the one inside.
	Address string
	// SystemSocket is linked to the API of the containerd inside while it
	// runs, unless somebody else owns it; DefaultSystemSocket when empty.
	SystemSocket string
	// Logger is slog's default when nil.
	Logger *slog.Logger
}

// Runtime is a runtime.Runtime.
type Runtime struct {
	client      *client.Client
	address     string
	server      *embedded // nil with another containerd
	helpers     programs.Set
	shim        string // name or path
	snapshotter string
	dataDir     string
	runDir      string
	runs        runs
	locked      *os.File
	log         *slog.Logger
}

// New starts containerd, or connects to the one at Options.Address, and picks
// up the containers that already run.
//
// One process opens the same directories once: should it close and open them
// again while containers run, containerd's first instance would still clean up
// after their shims.
func New(ctx context.Context, o Options) (_ *Runtime, err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, dir := range []string{o.DataDir, o.RunDir} {
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("start containerd: directory %q is not an absolute path", dir)
		}
	}
	r := &Runtime{
		dataDir: o.DataDir,
		runDir:  o.RunDir,
		log:     o.Logger.With("room", "runtime"),
		runs:    runs{dir: filepath.Join(o.DataDir, "containerd", "runs")},
	}
	if r.locked, err = lock(filepath.Join(o.DataDir, "containerd")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.helpers, err = programs.Install(filepath.Join(o.DataDir, "helpers")); err != nil {
		return nil, err
	}
	if err := r.runs.open(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.RunDir, 0o711); err != nil {
		return nil, fmt.Errorf("make the run directory: %w", err)
	}
	if err := shareMounts(r.log, o.DataDir, o.RunDir); err != nil {
		return nil, err
	}
	if err := sweepViews(r.viewsDir()); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.fifoDir()); err != nil {
		return nil, fmt.Errorf("remove the pipes of earlier commands: %w", err)
	}
	if o.Address == "" {
		err = r.embed(ctx, o)
	} else {
		err = r.connect(ctx, o.Address)
	}
	if err != nil {
		return nil, err
	}
	if r.snapshotter, err = r.chooseSnapshotter(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// embed starts the containerd inside this process.
func (r *Runtime) embed(ctx context.Context, o Options) (err error) {
	r.shim = r.helpers.Shim
	r.server, err = startEmbedded(ctx, o, r.runs, r.log)
	if err != nil {
		return err
	}
	r.client, r.address = r.server.client, r.server.address
	return nil
}

// connect uses a containerd that somebody else runs.
func (r *Runtime) connect(ctx context.Context, address string) (err error) {
	r.shim, r.address = "io.containerd.runc.v2", address
	r.client, err = client.New(address, client.WithDefaultNamespace(Namespace))
	if err != nil {
		return fmt.Errorf("connect to containerd at %s: %w", address, err)
	}
	if _, err := r.client.Version(ctx); err != nil {
		return fmt.Errorf("speak to containerd at %s: %w; is it running? try `systemctl status containerd`", address, err)
	}
	return nil
}

// chooseSnapshotter takes overlayfs where the data directory's filesystem can
// carry it, else whole copies.
func (r *Runtime) chooseSnapshotter(ctx context.Context) (string, error) {
	var errs []error
	for _, name := range []string{"overlayfs", "native"} {
		response, err := r.client.IntrospectionService().Plugins(ctx, "type==io.containerd.snapshotter.v1,id=="+name)
		if err != nil {
			return "", fmt.Errorf("ask containerd for its snapshotters: %w", err)
		}
		for _, plugin := range response.Plugins {
			if plugin.InitErr == nil {
				return name, nil
			}
			errs = append(errs, fmt.Errorf("%s: %s", name, plugin.InitErr.Message))
		}
	}
	return "", fmt.Errorf("containerd can keep no root filesystems in %s: %w", r.dataDir, errors.Join(errs...))
}

// Close stops containerd and leaves the containers running.
func (r *Runtime) Close() error {
	var err error
	if r.client != nil {
		err = r.client.Close()
	}
	if r.server != nil {
		err = errors.Join(err, r.server.close())
	}
	return errors.Join(err, r.locked.Close())
}

// Address is the socket where containerd's API answers.
func (r *Runtime) Address() string { return r.address }

func (r *Runtime) in(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, Namespace)
}

func (r *Runtime) viewsDir() string { return filepath.Join(r.runDir, "views") }
func (r *Runtime) fifoDir() string  { return filepath.Join(r.runDir, "fifo") }

// notFound makes containerd's answer for a missing object this interface's.
func notFound(err error) error {
	if err != nil && errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", runtime.ErrNotFound, err)
	}
	return err
}
