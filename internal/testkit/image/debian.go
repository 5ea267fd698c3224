package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// closure is the packages with all that they depend on, except those that skip
// names by their beginning, sorted.
func closure(ctx context.Context, packages []string, skip ...string) ([]string, error) {
	found := map[string]bool{}
	for next := packages; len(next) > 0; {
		for _, name := range next {
			found[name] = true
		}
		out, err := apt(ctx, "", "apt-cache", append([]string{"depends", "--important"}, next...)...)
		if err != nil {
			return nil, err
		}
		next = nil
		for _, name := range dependencies(out) {
			if !found[name] && !slices.ContainsFunc(skip, func(s string) bool { return strings.HasPrefix(name, s) }) {
				found[name] = true
				next = append(next, name)
			}
		}
	}
	var all []string
	for name := range found {
		all = append(all, name)
	}
	slices.Sort(all)
	return all, nil
}

// dependencies reads apt-cache's answer; of alternatives it takes the first,
// and no virtual packages.
func dependencies(out []byte) []string {
	var names []string
	alternative := false
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		kind, name, ok := strings.Cut(strings.TrimSpace(lines.Text()), ": ")
		if !ok || !strings.HasSuffix(kind, "Depends") {
			continue
		}
		if !alternative && !strings.HasPrefix(name, "<") {
			names = append(names, strings.TrimSuffix(name, ":any"))
		}
		alternative = strings.HasPrefix(kind, "|")
	}
	return names
}

// packages adds the files of Debian packages to the layer.
func (l *layer) packages(ctx context.Context, names []string) error {
	files, err := download(ctx, names)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := l.unpack(ctx, file); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func (l *layer) unpack(ctx context.Context, file string) error {
	dpkg := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	dpkg.Stderr = os.Stderr
	out, err := dpkg.StdoutPipe()
	if err != nil {
		return err
	}
	if err := dpkg.Start(); err != nil {
		return err
	}
	if err := l.packageFiles(out); err != nil {
		_ = dpkg.Process.Kill()
		_ = dpkg.Wait()
		return err
	}
	// The padding after the archive's end.
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	return dpkg.Wait()
}

// download returns the files of the packages, in order, getting those that are
// not in the cache.
func download(ctx context.Context, names []string) ([]string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "warren", "debian")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	// Not in the cache: apt is silent about what is in its directory already.
	uris, err := apt(ctx, "/", "apt-get", append([]string{"download", "--print-uris"}, names...)...)
	if err != nil {
		return nil, err
	}
	var files, missing []string
	for line := range strings.Lines(string(uris)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		name := fields[1]
		file := filepath.Join(cache, name)
		files = append(files, file)
		if info, err := os.Stat(file); err != nil || fmt.Sprint(info.Size()) != fields[2] {
			base, _, _ := strings.Cut(name, "_")
			missing = append(missing, base)
		}
	}
	if len(files) != len(names) {
		return nil, fmt.Errorf("apt knows files of %d of the packages %v", len(files), names)
	}
	if len(missing) > 0 {
		if _, err := apt(ctx, cache, "apt-get", append([]string{"download", "-q"}, missing...)...); err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return files, nil
}

func apt(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "LC_ALL=C")
	var refusal bytes.Buffer
	command.Stderr = &refusal
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s; images are made from Debian's packages: try `apt-get update`",
			program, args[0], err, strings.TrimSpace(refusal.String()))
	}
	return out, nil
}
