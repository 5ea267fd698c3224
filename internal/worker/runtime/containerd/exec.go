package containerd

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// Exec runs a further process in a running container and returns its exit code
// when it has ended. The process is killed when the context is done.
func (r *Runtime) Exec(ctx context.Context, id string, e runtime.Exec) (int, error) {
	ctx = r.in(ctx)
	container, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("run a command in container %s: %w", id, notFound(err))
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("run a command in container %s: it does not run: %w", id, notFound(err))
	}
	spec, err := r.execSpec(ctx, container, e)
	if err != nil {
		return 0, fmt.Errorf("run a command in container %s: %w", id, err)
	}
	stdin := &endingReader{r: e.Stdin, ended: make(chan struct{})}
	process, err := task.Exec(ctx, "exec-"+rand.Text()[:12], spec, r.streams(stdin, e))
	if err != nil {
		return 0, fmt.Errorf("run %q in container %s: %w", e.Args[0], id, err)
	}
	// Whatever happens, nothing of it stays.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shimGone)
	defer cancel()
	defer process.Delete(last, client.WithProcessKill)

	ended, err := process.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return 0, fmt.Errorf("run %q in container %s: %w", e.Args[0], id, err)
	}
	// A start that is given up half way could not be killed either.
	if err := process.Start(context.WithoutCancel(ctx)); err != nil {
		return 0, fmt.Errorf("run %q in container %s: %w", e.Args[0], id, err)
	}
	return attend(ctx, id, process, ended, stdin.ended, e)
}

// attend passes sizes and signals on until the process has ended.
func attend(ctx context.Context, id string, p client.Process, ended <-chan client.ExitStatus, noInput <-chan struct{}, e runtime.Exec) (int, error) {
	for {
		select {
		case <-noInput:
			noInput = nil
			_ = p.CloseIO(ctx, client.WithStdinCloser)
		case size, ok := <-e.Resize:
			if !ok {
				e.Resize = nil
				continue
			}
			// A size that comes after the end is no news to anyone.
			_ = p.Resize(ctx, size.Columns, size.Rows)
		case signal, ok := <-e.Signal:
			if !ok {
				e.Signal = nil
				continue
			}
			_ = p.Kill(ctx, signal)
		case <-ctx.Done():
			kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			killGroup(id, int(p.Pid()))
			_ = p.Kill(kill, syscall.SIGKILL)
			return 0, ctx.Err()
		case status := <-ended:
			code, _, err := status.Result()
			if err != nil {
				return 0, fmt.Errorf("wait for the command: %w", err)
			}
			// Its last output may still be on the way.
			p.IO().Wait()
			return int(code), nil
		}
	}
}

// killGroup kills a command with all that it started and that did not leave its
// process group: runc makes every command the leader of one. The shim kills the
// command alone, and what it started would stay.
func killGroup(id string, pid int) {
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if pid > 1 && err == nil && bytes.Contains(group, []byte(path.Join(cgroupParent, id))) {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// execSpec is the container's process with what e says differently.
func (r *Runtime) execSpec(ctx context.Context, c client.Container, e runtime.Exec) (*specs.Process, error) {
	if len(e.Args) == 0 {
		return nil, fmt.Errorf("no command given")
	}
	spec, err := c.Spec(ctx)
	if err != nil {
		return nil, err
	}
	record, err := c.Info(ctx, client.WithoutRefreshedMetadata)
	if err != nil {
		return nil, err
	}
	spec.Process.Args = e.Args
	spec.Process.Terminal = e.TTY
	options := []oci.SpecOpts{oci.WithEnv(e.Env)}
	if e.TTY {
		options = append([]oci.SpecOpts{oci.WithEnv([]string{"TERM=xterm"})}, options...)
	}
	if e.Workdir != "" {
		spec.Process.Cwd = path.Join("/", e.Workdir)
	}
	if e.User != "" {
		// Becoming root again is not gaining privileges: the bounding set stays.
		bounding := spec.Process.Capabilities.Bounding
		spec.Process.Capabilities.Effective, spec.Process.Capabilities.Permitted = bounding, bounding
		options = append(options, withUser(e.User))
	}
	if err := oci.ApplyOpts(ctx, r.client, &record, spec, options...); err != nil {
		return nil, err
	}
	return spec.Process, nil
}

func (r *Runtime) streams(stdin io.Reader, e runtime.Exec) cio.Creator {
	in, out, errOut := io.Reader(nil), e.Stdout, e.Stderr
	if e.Stdin != nil {
		in = stdin
	}
	if out == nil {
		out = io.Discard
	}
	if errOut == nil && !e.TTY {
		errOut = io.Discard
	}
	options := []cio.Opt{cio.WithStreams(in, out, errOut), cio.WithFIFODir(r.fifoDir())}
	if e.TTY {
		options = append(options, cio.WithTerminal)
	}
	return cio.NewCreator(options...)
}

// endingReader says when r has ended. The process's standard input must then
// be closed at the shim too, which keeps its end of the pipe open.
type endingReader struct {
	r     io.Reader
	ended chan struct{}
	once  sync.Once
}

func (e *endingReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil {
		e.once.Do(func() { close(e.ended) })
	}
	return n, err
}
