//go:build bench

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; only a failure uses it up.
const patience = 60 * time.Second

// process is a server under measurement. It ends with the test, whatever
// happens.
type process struct {
	*exec.Cmd
	log    string
	exited chan struct{}
}

// start runs a program whose output goes to a file.
func start(t *testing.T, logPath string, env []string, name string, args ...string) *process {
	t.Helper()
	log, err := os.Create(logPath)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{Cmd: exec.Command(name, args...), log: logPath, exited: make(chan struct{})}
	p.Env, p.Stdout, p.Stderr = append(os.Environ(), env...), log, log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.Wait(); close(p.exited) }()
	t.Cleanup(func() { p.end(t) })
	return p
}

// end asks the process to stop, and insists when it does not.
func (p *process) end(t *testing.T) {
	p.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Errorf("%s did not stop: %s", p.Path, p.tail())
		p.Process.Kill()
		<-p.exited
	}
}

// until asks again and again until check is content.
func (p *process) until(t *testing.T, what string, check func() error) {
	t.Helper()
	err := errors.New("it ended")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-tick.C:
			if err = check(); err == nil {
				return
			}
			continue
		case <-p.exited:
		}
		break
	}
	t.Fatalf("%s: waited in vain until %s: %v\n%s", filepath.Base(p.Path), what, err, p.tail())
}

// worked is the processor time it has used, in seconds.
func (p *process) worked(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):])) // the name before may have anything in it
	var user, system float64
	if _, err := fmt.Sscan(fields[12]+" "+fields[13], &user, &system); err != nil {
		t.Fatal(err)
	}
	return (user + system) / 100 // the kernel's USER_HZ
}

func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-4000):])
}

// mountsBelow lists what is mounted in a directory, innermost first.
func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found
}
