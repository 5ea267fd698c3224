package consensus

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// run is raft/run.json: which run of warren wrote last, and how it ended.
type run struct {
	Format uint64 `json:"format"`
	// Lineage is what the last run wrote to warren.db; Next is what this one is
	// about to write. While both are set, warren.db may have either.
	Lineage string `json:"lineage"`
	Next    string `json:"next,omitempty"`
	// BootID is the boot of the machine that the run was in.
	BootID string `json:"boot_id"`
	// Clean: the run stopped by itself, and warren.db is durable. Sum is its
	// SHA-256 then; empty when it is not known.
	Clean bool   `json:"clean"`
	Sum   string `json:"sum,omitempty"`
}

func runPath(raftDir string) string { return filepath.Join(raftDir, "run.json") }

// readRun returns nil without an error when there is none.
func readRun(raftDir string) (*run, error) {
	raw, err := os.ReadFile(runPath(raftDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &run{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", runPath(raftDir), err)
	}
	if err := checkFormat("the data directory", r.Format); err != nil {
		return nil, err
	}
	return r, nil
}

func (r run) write(raftDir string) error {
	r.Format = format
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fresh := runPath(raftDir) + ".new"
	if err := writeFile(fresh, bytes.NewReader(raw)); err != nil {
		return err
	}
	return rename(fresh, runPath(raftDir))
}

// knows tells whether a file of that lineage is the last run's own.
func (r *run) knows(lineage string) bool {
	return r != nil && lineage != "" && slices.Contains([]string{r.Lineage, r.Next}, lineage)
}

func newLineage() string { return rand.Text() }

// bootID names this boot of the machine.
func bootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(raw)), nil
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
