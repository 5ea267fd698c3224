package containerd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/cmd/containerd/server"
	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	"github.com/containerd/errdefs"
)

// maxSocketDir is the longest directory in which the shims' sockets, named by
// a SHA-256, still have valid addresses.
const maxSocketDir = 42

// starting lets one containerd start at a time: plugins decode their
// configuration into memory that the whole process shares.
var starting sync.Mutex

// embedded is the containerd inside this process.
type embedded struct {
	inside
	server  *server.Server
	address string
	link    systemLink
	stop    context.CancelFunc
}

func startEmbedded(ctx context.Context, o Options, runs runs, log *slog.Logger) (_ *embedded, err error) {
	state := filepath.Join(o.RunDir, "containerd")
	root := filepath.Join(o.DataDir, "containerd")
	address := filepath.Join(o.RunDir, "containerd.sock")
	sockets := socketDir(o.RunDir)
	for dir, mode := range map[string]os.FileMode{root: 0o700, state: 0o711, sockets: 0o711} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return nil, fmt.Errorf("make containerd's directory: %w", err)
		}
	}
	if err := forgetEarlierBoot(root, state, sockets); err != nil {
		return nil, err
	}
	harvested := harvest(ctx, filepath.Join(state, "io.containerd.runtime.v2.task", Namespace), runs, log)
	defer harvested.finish()

	// Not the caller's context: containerd works until Close.
	serverCtx, stop := context.WithCancel(withLogger(context.WithoutCancel(ctx), log))
	defer func() {
		if err != nil {
			stop()
		}
	}()
	starting.Lock()
	defer starting.Unlock()
	e := &embedded{address: address, stop: stop}
	serverCtx = context.WithValue(serverCtx, insideKey{}, &e.inside)
	s, err := server.New(serverCtx, configuration(root, state, sockets, address))
	if err != nil {
		return nil, fmt.Errorf("start containerd in %s: %w", root, err)
	}
	if e.client == nil {
		s.Stop()
		return nil, fmt.Errorf("start containerd in %s: its services did not start; the log says why", root)
	}
	if err := s.Start(serverCtx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("serve containerd's API at %s: %w", address, err)
	}
	s.Wait()
	e.server = s
	for _, socket := range []string{address, address + ".ttrpc"} {
		if err := os.Chmod(socket, 0o600); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	if e.link, err = linkSystemSocket(o.SystemSocket, address); err != nil {
		log.Warn("ctr needs --address "+address, "error", err)
	}
	return e, nil
}

func configuration(root, state, sockets, address string) *config.Config {
	return &config.Config{
		Version: 4,
		Root:    root,
		State:   state,
		RequiredPlugins: []string{
			"io.containerd.metadata.v1.bolt",
			"io.containerd.runtime.v2.task",
			"io.containerd.server.v1.grpc",
			"io.containerd.server.v1.ttrpc",
		},
		// Their collectors can be registered once per process only.
		DisabledPlugins: []string{
			"io.containerd.metrics.v1.grpc-prometheus",
			"io.containerd.metrics.v1.grpc-otel",
		},
		Plugins: map[string]any{
			"io.containerd.server.v1.grpc":  map[string]any{"address": address},
			"io.containerd.server.v1.ttrpc": map[string]any{"address": address + ".ttrpc"},
			"io.containerd.shim.v1.manager": map[string]any{"socket_dir": sockets},
			// What is removed is soon removed from the disk too.
			"io.containerd.gc.v1.scheduler": map[string]any{"deletion_threshold": 1, "schedule_delay": "1s"},
		},
	}
}

// socketDir is where the shims' sockets are: below the run directory, or in a
// short place derived from it when it is too long.
func socketDir(runDir string) string {
	dir := filepath.Join(runDir, "s")
	if len(dir) <= maxSocketDir {
		return dir
	}
	return fmt.Sprintf("/run/warren-shims-%x", sha256.Sum256([]byte(runDir)))[:30]
}

// shimGone returns once containerd has forgotten the container's shim: what it
// removes after a shim's end must not be that of the container's next start.
func (e *embedded) shimGone(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, shimGone)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := e.shims.Get(ctx, id); errdefs.IsNotFound(err) {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the container's shim: %w", ctx.Err())
		}
	}
}

func (e *embedded) close() error {
	err := e.link.remove()
	e.server.Stop()
	e.stop()
	for _, socket := range []string{e.address, e.address + ".ttrpc"} {
		if removeErr := os.Remove(socket); removeErr != nil && !errors.Is(removeErr, os.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}
