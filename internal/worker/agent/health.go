package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/cuemby/warren/internal/worker/runtime"
)

const (
	// firstCheck is from a container's start to its first check.
	firstCheck = 200 * time.Millisecond
	// eagerCheck is the most between two checks until the first success, so
	// that nobody who waits for that waits for a whole interval.
	eagerCheck = time.Second
)

// checkHealth checks a running container until ctx ends, and then returns "",
// or until it is unhealthy, and then returns why; or until it is healthy, when
// something has to be done about that.
func (t *task) checkHealth(ctx context.Context, check *warrenv1.HealthCheck, want *warrenv1.Task) (unhealthy string) {
	check = proto.CloneOf(check)
	spec.DefaultHealth(check) // made before there were defaults, or by another version
	if t.status.Load().GetHealth() == warrenv1.Health_HEALTH_UNSPECIFIED {
		t.health(warrenv1.Health_HEALTH_STARTING, "")
	}
	failures := 0
	for pause := firstCheck; sleep(ctx, pause); pause = t.pause(check) {
		err := t.probe(ctx, check)
		if ctx.Err() != nil {
			return ""
		}
		if err == nil {
			failures = 0
			t.health(warrenv1.Health_HEALTH_HEALTHY, "")
			if t.unmountDue(want) {
				return ""
			}
			continue
		}
		failures++
		if t.givenUp(check, failures) {
			t.health(warrenv1.Health_HEALTH_UNHEALTHY, err.Error())
			return err.Error()
		}
		// Who fails again tells nothing new.
		if s := t.status.Load(); s.GetHealthMessage() == "" {
			t.health(s.GetHealth(), err.Error())
		}
	}
	return ""
}

// health reports what a check came to.
func (t *task) health(health warrenv1.Health, message string) {
	t.report(func(s *warrenv1.TaskStatus) { s.Health, s.HealthMessage = health, message })
}

func (t *task) comingUp() bool {
	return t.status.Load().GetHealth() == warrenv1.Health_HEALTH_STARTING
}

// pause is how long to wait for the next check. Containers that were started
// together drift apart.
func (t *task) pause(check *warrenv1.HealthCheck) time.Duration {
	interval := check.GetInterval().AsDuration()
	if t.comingUp() {
		return min(interval, eagerCheck)
	}
	return interval + drift(interval/20)
}

// givenUp tells whether a container that just failed a check is unhealthy: one
// that comes up has its start period and as many intervals as others have
// tries.
func (t *task) givenUp(check *warrenv1.HealthCheck, failures int) bool {
	retries := int(check.GetRetries())
	if !t.comingUp() {
		return failures >= retries
	}
	patience := check.GetStartPeriod().AsDuration() + time.Duration(retries)*check.GetInterval().AsDuration()
	return time.Since(t.status.Load().GetStartedAt().AsTime()) >= patience
}

// probe asks once; the error says in a few words why it is not healthy.
func (t *task) probe(ctx context.Context, check *warrenv1.HealthCheck) error {
	limit := check.GetTimeout().AsDuration()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var err error
	switch {
	case check.GetHttp() != nil:
		err = probeHTTP(ctx, t.reachedAt(), check.GetHttp())
	case check.GetTcp() != nil:
		err = probeTCP(ctx, t.reachedAt(), check.GetTcp().GetPort())
	default:
		err = t.probeCommand(ctx, check.GetCommand())
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer to the health check within %v", limit)
	}
	return err
}

// reachedAt is the address at which this node reaches the task.
func (t *task) reachedAt() string {
	if address := t.status.Load().GetAddress(); address != "" {
		return address
	}
	return "127.0.0.1" // it is on the host's network
}

// probeCommand runs the check in the container. What it prints is kept
// nowhere: it may be a secret.
func (t *task) probeCommand(ctx context.Context, command []string) error {
	code, err := t.a.cfg.Runtime.Exec(ctx, t.id, runtime.Exec{Args: command})
	if err != nil {
		return fmt.Errorf("the health command does not run: %w", err)
	}
	if code != 0 {
		return fmt.Errorf("the health command exited with code %d", code)
	}
	return nil
}

// sleep tells whether the time has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
