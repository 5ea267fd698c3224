package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// program is one of those that the Makefile builds into the binary.
type program struct {
	name, pkg, tags string
	cgo             bool
}

var programs = []program{
	{name: "warren", pkg: "./cmd/warren", tags: "embed_helpers"},
	{name: "warren-log", pkg: "./cmd/warren-log"},
	{name: "shim", pkg: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", tags: "no_grpc"},
	{name: "runc", pkg: "github.com/opencontainers/runc", tags: "seccomp urfave_cli_no_docs netgo osusergo", cgo: true},
}

// module is one whose packages are in a program.
type module struct {
	Path, Version, Dir string
	Main               bool
	programs           []string
	licenses           []license
	notices            []string
}

// embedded lists the modules of all programs, ordered by path, and the Go
// standard library as one of them.
func embedded(root string) ([]*module, error) {
	all := map[string]*module{}
	for _, p := range programs {
		found, err := p.modules(root)
		if err != nil {
			return nil, err
		}
		for path, m := range found {
			if all[path] == nil {
				all[path] = m
			}
			all[path].programs = append(all[path].programs, p.name)
		}
	}
	std, err := standardLibrary(root)
	if err != nil {
		return nil, err
	}
	list := []*module{std}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[path])
	}
	for _, m := range list {
		if err := m.read(); err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Path, err)
		}
	}
	return list, nil
}

// modules asks the go command. What is built for is pinned, so that the answer
// does not depend on the machine.
func (p program) modules(root string) (map[string]*module, error) {
	cgo := "CGO_ENABLED=0"
	if p.cgo {
		cgo = "CGO_ENABLED=1"
	}
	out, err := ask(root, []string{cgo, "GOOS=linux", "GOARCH=amd64"},
		"list", "-deps", "-tags", p.tags, "-json=Module", p.pkg)
	if err != nil {
		return nil, err
	}
	found := map[string]*module{}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var dep struct{ Module *module }
		if err := d.Decode(&dep); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		if m := dep.Module; m != nil && !m.Main {
			found[m.Path] = m
		}
	}
}

func standardLibrary(root string) (*module, error) {
	dir, err := ask(root, nil, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, err := ask(root, nil, "list", "-m", "-f", "{{.GoVersion}}")
	if err != nil {
		return nil, err
	}
	m := &module{Path: "Go standard library", Version: "go" + strings.TrimSpace(version), Dir: strings.TrimSpace(dir)}
	for _, p := range programs {
		m.programs = append(m.programs, p.name)
	}
	return m, nil
}

func ask(root string, env []string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

// read takes the module's licenses and notices from its top directory.
func (m *module) read() error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		isLicense := strings.HasPrefix(name, "LICENSE")
		isNotice := strings.HasPrefix(name, "NOTICE")
		if e.IsDir() || strings.HasSuffix(name, ".DOCS") || strings.HasSuffix(name, ".GO") || !isLicense && !isNotice {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return err
		}
		if isNotice {
			m.notices = append(m.notices, tidy(string(text)))
		} else if l := newLicense(string(text)); l.name != "" {
			m.licenses = append(m.licenses, l)
		}
	}
	if len(m.licenses) == 0 {
		return fmt.Errorf("no license that is known in %s; teach scripts/notice/license.go", m.Dir)
	}
	return nil
}
