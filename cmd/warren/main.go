// Command warren is the whole of Warren in one program: what a person types,
// and the node that answers.
package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	_ "time/tzdata" // schedules name time zones, and a small machine has none

	"golang.org/x/term"

	"github.com/cuemby/warren/internal/cli"
	"github.com/cuemby/warren/internal/node"
	"github.com/cuemby/warren/internal/pki"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/worker/runtime/ctr"
)

func main() {
	// Secrets pass through this process, whatever it was started for. Where
	// the kernel refuses, the memory that holds them is still left out.
	_ = seal.NoDumps()
	os.Exit(cli.Main(cli.Hooks{
		Init: initialise, Start: start, JoinManager: joinManager, Worker: startWorker,
		Leave: leave, Restore: restore, Recover: recoverManager, Ctr: runCtr,
	}))
}

func initialise(ctx context.Context, o cli.NodeOptions) error {
	home, err := pki.UserHome()
	if err != nil {
		return err
	}
	var terminal io.Writer
	if term.IsTerminal(int(os.Stdout.Fd())) {
		terminal = os.Stdout
	}
	return node.Init(ctx, node.Options(o), home, terminal)
}

func start(ctx context.Context, o cli.NodeOptions) error {
	return node.Start(ctx, node.Options(o))
}

// runCtr runs containerd's client against this machine's node; --run-dir in
// front names another one than the default.
func runCtr(args []string) error {
	run := node.DefaultRunDir
	if len(args) > 1 && args[0] == "--run-dir" {
		run, args = args[1], args[2:]
	}
	return ctr.Run(context.Background(), filepath.Join(run, "containerd.sock"), args)
}

func startWorker(ctx context.Context, o cli.NodeOptions, token string) error {
	return node.StartWorker(ctx, node.Options(o), token)
}

func joinManager(ctx context.Context, o cli.NodeOptions, token string) error {
	return node.JoinManager(ctx, node.Options(o), token)
}

func leave(ctx context.Context, o cli.NodeOptions, force bool) (cli.Departure, error) {
	d, err := node.Leave(ctx, node.Options(o), force)
	return cli.Departure(d), err
}

func restore(ctx context.Context, o cli.NodeOptions, r cli.Restore) (string, error) {
	home, err := pki.UserHome()
	if err != nil {
		return "", err
	}
	done, err := node.Restore(ctx, node.Options(o), r.File, r.Force, home, r.Unlock)
	if err != nil {
		return "", err
	}
	return done.NextSteps(), nil
}

func recoverManager(_ context.Context, o cli.NodeOptions, agree func(cli.Standing) error) error {
	return node.Recover(node.Options(o), func(s node.Standing) error { return agree(cli.Standing(s)) })
}
