package agent

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	// ticks are what the kernel counts the processors' time in, per second.
	ticks = 100
	// sectorBytes is what the kernel counts disks in, whatever they have.
	sectorBytes = 512
)

// machineUsage is what a whole machine used since it booted, and the memory
// that it has, in bytes.
type machineUsage struct {
	runtime.Usage
	memory uint64
}

func measureMachine() (m machineUsage, err error) {
	if m.CPU, err = processorTime("/proc/stat"); err != nil {
		return m, err
	}
	var available uint64
	if m.memory, available, err = memory("/proc/meminfo"); err != nil {
		return m, err
	}
	m.Memory = m.memory - min(m.memory, available)
	m.Read, m.Written, err = diskBytes("/proc/diskstats", "/sys/block")
	return m, err
}

// processorTime is what all processors together were not idle.
func processorTime(path string) (time.Duration, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("%s begins with %q", path, line)
	}
	var busy uint64
	for i, field := range fields[1:9] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if idle := i == 3 || i == 4; !idle {
			busy += n
		}
	}
	return time.Duration(busy) * time.Second / ticks, nil
}

func memory(path string) (total, available uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var into *uint64
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) < 2:
			continue
		case fields[0] == "MemTotal:":
			into = &total
		case fields[0] == "MemAvailable:":
			into = &available
		default:
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
		*into = n << 10
	}
	return total, available, lines.Err()
}

// diskBytes sums up the disks that are there in hardware: what goes through a
// loop device or a mapping reaches one of those as well.
func diskBytes(stats, blocks string) (read, written uint64, err error) {
	f, err := os.Open(stats)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		if _, err := os.Stat(filepath.Join(blocks, fields[2], "device")); err != nil {
			continue
		}
		r, errR := strconv.ParseUint(fields[5], 10, 64)
		w, errW := strconv.ParseUint(fields[9], 10, 64)
		if errR != nil || errW != nil {
			return 0, 0, fmt.Errorf("%s: %q has no counts", stats, lines.Text())
		}
		read, written = read+r*sectorBytes, written+w*sectorBytes
	}
	return read, written, lines.Err()
}
