package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cuemby/warren/internal/worker/runtime"
)

// unknownCode is the exit code of a process whose end nobody saw: its shim was
// killed, or the machine went down.
const unknownCode = 255

// runs keeps one small file per started container, from its start until it is
// deleted. Unsynced: what a crash of the machine takes, ended with it.
type runs struct{ dir string }

// run says that a container was started, and how it ended if it has.
type run struct {
	Exit *runtime.Exit `json:"exit,omitempty"`
}

func (s runs) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of container ends: %w", err)
	}
	return nil
}

// get returns nil for a container that was never started.
func (s runs) get(id string) (*run, error) {
	b, err := os.ReadFile(s.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the end of container %s: %w", id, err)
	}
	var r run
	if err := json.Unmarshal(b, &r); err != nil {
		return &run{}, nil // torn by a crash of the machine
	}
	return &r, nil
}

func (s runs) started(id string) error { return s.put(id, run{}) }

// ended records a container's end; the first one recorded stays.
func (s runs) ended(id string, exit runtime.Exit) (runtime.Exit, error) {
	if r, err := s.get(id); err == nil && r != nil && r.Exit != nil {
		return *r.Exit, nil
	}
	exit.At = exit.At.UTC()
	exit.OutOfMemory = ranOutOfMemory(id, exit.Code)
	return exit, s.put(id, run{Exit: &exit})
}

// lost records that a container's end was not seen by anyone.
func (s runs) lost(id string) (runtime.Exit, error) {
	return s.ended(id, runtime.Exit{Code: unknownCode, At: time.Now()})
}

func (s runs) put(id string, r run) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	temporary := s.path(id) + ".new"
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return fmt.Errorf("record the run of container %s: %w", id, err)
	}
	return os.Rename(temporary, s.path(id))
}

func (s runs) forget(id string) error {
	if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the run of container %s: %w", id, err)
	}
	return nil
}

func (s runs) path(id string) string { return filepath.Join(s.dir, id+".json") }
