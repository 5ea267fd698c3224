// Package ctr is containerd's own client, inside the warren binary, so that a
// person can look at a node's containers where no ctr is installed.
package ctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containerd/containerd/v2/cmd/ctr/app"
	"golang.org/x/sys/unix"

	"github.com/cuemby/warren/internal/worker/runtime/containerd"
)

// Run runs ctr with these arguments against the containerd whose socket is at
// address, in Warren's namespace. Both can be said otherwise in args.
func Run(ctx context.Context, address string, args []string) error {
	switch err := unix.Access(address, unix.R_OK|unix.W_OK); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no containerd answers at %s: is a node running here? start it with `sudo warren manager start`", address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is for root only: try `sudo warren ctr`: %w", address, err)
	}
	for name, value := range map[string]string{"CONTAINERD_ADDRESS": address, "CONTAINERD_NAMESPACE": containerd.Namespace} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return app.New().Run(ctx, append([]string{"ctr"}, args...))
}
