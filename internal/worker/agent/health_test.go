package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	starting  = warrenv1.Health_HEALTH_STARTING
	healthy   = warrenv1.Health_HEALTH_HEALTHY
	unhealthy = warrenv1.Health_HEALTH_UNHEALTHY
)

// checked is a task that is checked every 10 s, with 3 tries.
func checked(t *warrenv1.Task) *warrenv1.Task {
	t.Container.Health = &warrenv1.HealthCheck{
		Command: []string{"pg_isready"}, Interval: durationpb.New(10 * time.Second),
		Timeout: durationpb.New(2 * time.Second), Retries: 3, StartPeriod: durationpb.New(time.Minute),
	}
	return t
}

// patient is a command whose exit code the test sets; it is -1 for one that
// hangs.
type patient struct{ code atomic.Int64 }

func (p *patient) exec(ctx context.Context, e runtime.Exec) (int, error) {
	switch code := int(p.code.Load()); code {
	case -1:
		<-ctx.Done()
		return 0, ctx.Err()
	case -2:
		return 0, errors.New(`exec: "pg_isready": executable file not found in $PATH`)
	default:
		return code, nil
	}
}

func (n *node) hasHealth(taskID string, h warrenv1.Health) *warrenv1.TaskStatus {
	n.Helper()
	n.boss.await(n.T, taskID+" to be "+h.String(), func() bool { return n.boss.tasks[taskID].GetHealth() == h })
	n.boss.mu.Lock()
	defer n.boss.mu.Unlock()
	return n.boss.tasks[taskID]
}

func (n *node) hasEvent(reason string) *warrenv1.Event {
	n.Helper()
	var found *warrenv1.Event
	n.boss.await(n.T, "event "+reason, func() bool {
		for _, e := range n.boss.events {
			if e.GetReason() == reason {
				found = e
			}
		}
		return found != nil
	})
	return found
}

func TestTaskIsHealthyOnceItsCheckSucceeds(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		p.code.Store(2)
		n.machine.exec = p.exec
		n.full(checked(aTask("t1")))
		s := n.is("t1", running)
		if s.GetHealth() != starting {
			t.Errorf("health %v at the start", s.GetHealth())
		}
		n.boss.await(t, "the reason", func() bool {
			return n.boss.tasks["t1"].GetHealthMessage() == "the health command exited with code 2"
		})
		n.pass(30 * time.Second)
		reports := n.reported()
		n.pass(10 * time.Second)
		if n.reported() != reports {
			t.Error("what is no news was reported")
		}
		p.code.Store(0)
		at := time.Now()
		if s := n.hasHealth("t1", healthy); s.GetHealthMessage() != "" || s.GetRestarts() != 0 {
			t.Errorf("status %v", s)
		}
		if waited := time.Since(at); waited > eagerCheck+time.Second {
			t.Errorf("noticed after %v", waited)
		}
	})
}

func TestUnhealthyTaskIsReplacedInPlace(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		n.machine.exec = p.exec
		n.full(checked(withVolume(aTask("t1"), "db-data")))
		n.hasHealth("t1", healthy)
		n.take()
		p.code.Store(1)
		failed := time.Now()
		s := n.is("t1", backingUp)
		if took := time.Since(failed); took > 3*11*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if s.GetExitReason() != "unhealthy: the health command exited with code 1" || s.GetExitCode() != 143 || s.GetHealth() != 0 {
			t.Errorf("status %v", s)
		}
		p.code.Store(0)
		if s := n.hasHealth("t1", healthy); s.GetRestarts() != 1 || s.GetHealthMessage() != "" {
			t.Errorf("status %v", s)
		}
		e := n.hasEvent("unhealthy")
		if want := "task app-task-1: unhealthy: the health command exited with code 1; restarted after 200ms"; e.GetMessage() != want {
			t.Errorf("event %q", e.GetMessage())
		}
		if n.count("signal t1 terminated") != 1 || n.count("delete t1") != 1 || n.count("start t1") != 1 || n.count("detach t1") != 0 {
			t.Errorf("done: %v", n.take())
		}
	})
}

func TestFailuresInBetweenAreForgiven(t *testing.T) {
	onNode(t, func(n *node) {
		var checks atomic.Int64
		n.machine.exec = func(context.Context, runtime.Exec) (int, error) {
			if checks.Add(1)%3 == 1 {
				return 0, nil
			}
			return 1, nil
		}
		n.full(checked(aTask("t1")))
		n.hasHealth("t1", healthy)
		n.pass(10 * time.Minute)
		if s := n.is("t1", running); s.GetHealth() != healthy || s.GetRestarts() != 0 {
			t.Errorf("status %v", s)
		}
	})
}

func TestTaskThatNeverGetsHealthyHasItsTime(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		p.code.Store(1)
		n.machine.exec = p.exec
		n.full(checked(aTask("t1")))
		n.is("t1", running)
		began := time.Now()
		n.is("t1", backingUp)
		// The start period of a minute, and three tries.
		if took := time.Since(began).Round(time.Second); took < 89*time.Second || took > 92*time.Second {
			t.Errorf("given up after %v", took)
		}
	})
}

func TestHealthCommandThatHangsOrIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		code int64
		want string
	}{
		"hangs":   {-1, "unhealthy: no answer to the health check within 2s"},
		"missing": {-2, `unhealthy: the health command does not run: exec: "pg_isready": executable file not found in $PATH`},
	} {
		t.Run(name, func(t *testing.T) {
			onNode(t, func(n *node) {
				var p patient
				n.machine.exec = p.exec
				n.full(checked(aTask("t1")))
				n.hasHealth("t1", healthy)
				p.code.Store(c.code)
				if s := n.is("t1", backingUp); s.GetExitReason() != c.want {
					t.Errorf("reason %q", s.GetExitReason())
				}
			})
		})
	}
}

func TestHealthIsKeptWithoutManagerAndAgreedOnLater(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		n.machine.exec = p.exec
		task := checked(aTask("t1"))
		n.full(task)
		n.hasHealth("t1", healthy)
		n.boss.leave()
		p.code.Store(1)
		n.pass(40 * time.Second)
		p.code.Store(0)
		n.pass(10 * time.Second)
		if !n.machine.running("t1") || n.count("start t1") != 2 {
			t.Errorf("done while no manager answered: %v", n.take())
		}
		n.boss.comeBack()
		n.boss.await(t, "the restart", func() bool {
			return n.boss.tasks["t1"].GetRestarts() == 1 && n.boss.tasks["t1"].GetHealth() == healthy
		})
		n.hasEvent("unhealthy")
		n.full(task) // as the manager remembers it
		n.pass(time.Minute)
		if got := n.count("start t1"); got != 2 {
			t.Errorf("started %d times, the last one needlessly", got)
		}
	})
}

func TestReplacementIsGoneOnWithAfterARestart(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		n.machine.exec, n.machine.deaf = p.exec, true
		task := checked(aTask("t1"))
		task.Container.StopTimeout = durationpb.New(30 * time.Second)
		n.full(task)
		n.hasHealth("t1", healthy)
		p.code.Store(1)
		n.hasHealth("t1", unhealthy)
		n.soon("SIGTERM", func() bool { return n.count("signal t1 terminated") == 1 })
		p.code.Store(0)
		n.restart(func() {})
		s := n.is("t1", backingUp)
		if s.GetExitReason() != "unhealthy: the health command exited with code 1" || s.GetExitCode() != 137 {
			t.Errorf("status %v", s)
		}
		n.hasHealth("t1", healthy)
		if n.count("signal t1 terminated") != 1 {
			t.Error("it was asked to stop twice")
		}
	})
}

func TestHealthIsTakenUpAgainAfterARestart(t *testing.T) {
	onNode(t, func(n *node) {
		var p patient
		n.machine.exec = p.exec
		n.full(checked(aTask("t1")))
		n.hasHealth("t1", healthy)
		p.code.Store(1)
		n.restart(func() {})
		n.boss.await(t, "its report", func() bool { return n.boss.sessions == 2 })
		if s := n.is("t1", backingUp); s.GetExitReason() != "unhealthy: the health command exited with code 1" {
			t.Errorf("status %v", s)
		}
	})
}

func TestProbesAskTheTaskItself(t *testing.T) {
	code := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/ready?deep=1" {
			code = http.StatusNotFound
		}
		w.Header().Set("Location", "http://192.0.2.1/elsewhere")
		w.WriteHeader(code)
	}))
	defer server.Close()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	probe := &warrenv1.HttpProbe{Port: uint32(number), Path: "/ready?deep=1"}
	for status, want := range map[int]string{
		200: "", 204: "", 302: "", 404: "answers the health check with 404 Not Found", 503: "answers the health check with 503 Service Unavailable",
	} {
		code = status
		err := probeHTTP(t.Context(), host, probe)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if err := probeTCP(t.Context(), host, uint32(number)); err != nil {
		t.Error(err)
	}
	server.Close()
	for _, err := range []error{probeTCP(t.Context(), host, uint32(number)), probeHTTP(t.Context(), host, probe)} {
		if err == nil || err.Error() != "port "+port+": connection refused" {
			t.Errorf("nobody listens: %v", err)
		}
	}
}
