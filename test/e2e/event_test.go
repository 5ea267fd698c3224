//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

type event struct {
	Kind, Name, Reason, Message string
	Time                        time.Time
}

func (n *node) events(args ...string) (all []event) {
	n.t.Helper()
	out := json.NewDecoder(strings.NewReader(n.run(append([]string{"events", "-o", "json"}, args...)...)))
	for out.More() {
		var e event
		if err := out.Decode(&e); err != nil {
			n.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestEventsTellWhatHappened(t *testing.T) {
	n := startBusybox(t)

	t.Log("a follower sees what comes")
	follow := exec.Command(binary(t), "events", "--follow")
	follow.Env = n.env()
	lines, err := follow.StdoutPipe()
	if err == nil {
		err = follow.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { follow.Process.Kill(); follow.Wait() }()
	said := make(chan string, 1000)
	go func() {
		defer close(said)
		for s := bufio.NewScanner(lines); s.Scan(); {
			said <- s.Text()
		}
	}()

	n.feed("value", "secret", "create", "key", "--from-stdin")
	n.run("service", "create", "app", "--image", "busybox", "--volume", "data:/data", "--secret", "key", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("app", 1)
	between := time.Now()
	n.run("service", "create", "lost", "--image", "registry.invalid/nothing:1")
	n.run("service", "stop", "app")
	n.run("service", "start", "app")
	n.running("app", 1)
	n.run("service", "delete", "app")
	n.run("volume", "delete", "data")
	n.run("secret", "delete", "key")

	var got []string
	n.eventually("all is told", func() error {
		got = nil
		for _, e := range n.events() {
			got = append(got, e.Kind+" "+e.Name+" "+e.Reason)
		}
		return missing(got, "task lost-task-1 failed")
	})
	if err := missing(got,
		"secret key created", "volume data created", "service app created", "task app-task-1 started",
		"service lost created", "service app stopped", "task app-task-1 stopped", "service app started",
		"service app deleted", "volume data trashed", "secret key deleted"); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "node ") && strings.HasSuffix(s, " ready") }) {
		t.Errorf("nothing of the node in %q", got)
	}

	for deadline := time.After(patience); ; {
		var line string
		select {
		case line = <-said:
		case <-deadline:
			t.Fatal("the follower does not see the end")
		}
		if strings.Contains(line, "secret key  deleted") {
			break
		}
	}

	t.Log("since a moment")
	late := n.events("--since", between.UTC().Format(time.RFC3339Nano))
	if len(late) == 0 || late[0].Time.Before(between) {
		t.Errorf("%+v", late)
	}
	if all := n.events("--since", "1h"); len(all) < len(got) {
		t.Errorf("%d events of the last hour, %d in all", len(all), len(got))
	}
	if none := n.events("--since", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)); len(none) != 0 {
		t.Errorf("from the future: %+v", none)
	}
	for _, since := range []string{"yesterday", "-2h", "1x", "2025-13-01"} {
		if said := n.refused(2, "events", "--since", since); !strings.Contains(said, "is neither an age") {
			t.Errorf("--since %s: %q", since, said)
		}
	}
}

// missing names the first of the words that are not there.
func missing(in []string, words ...string) error {
	for _, w := range words {
		if !slices.Contains(in, w) {
			return fmt.Errorf("%q is not among %q", w, in)
		}
	}
	return nil
}
