//go:build bench

package bench

import (
	"fmt"
	"sync"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	scaleTasks  = 100
	scaleRounds = 3
	scaleAim    = 2
	// atOnce is how many containers containerd is asked for at once; more or
	// fewer make little difference.
	atOnce = 16
)

// TestScale takes a service from 0 to 100 tasks on one node and back, and makes
// and removes as many containers through the containerd inside Warren alone.
func TestScale(t *testing.T) {
	n, r := startNode(t), result
	n.run(t, "image", "load", built(t, ".cache/images/busybox.tar", "images"))
	n.run(t, append([]string{"service", "create", "app", "--image", "busybox", "--stop-timeout", "5s", "--"}, command...)...)
	bare := n.openBare(t, n.running(t, "app"))
	n.run(t, "service", "scale", "app", "0")
	defer n.run(t, "service", "delete", "app")
	defer bare.close()

	var up, down, aloneUp, aloneDown samples
	for i := range scaleRounds {
		up = append(up, seconds(func() {
			n.run(t, "service", "scale", "app", fmt.Sprint(scaleTasks))
			n.run(t, "service", "wait", "app")
		}))
		down = append(down, seconds(func() { n.run(t, "service", "scale", "app", "0"); n.over(t, "app") }))
		containers := make([]*bareContainer, scaleTasks)
		aloneUp = append(aloneUp, seconds(func() {
			inParallel(func(k int) { containers[k] = bare.run(t, fmt.Sprintf("bare%d-%d", i, k)) })
		}))
		aloneDown = append(aloneDown, seconds(func() { inParallel(func(k int) { bare.remove(t, containers[k]) }) }))
	}
	r.measurement("scale from 0 to 100", "s", up)
	r.measurement("100 containers, containerd alone", "s", aloneUp)
	r.measurement("scale from 100 to 0", "s", down)
	r.measurement("100 containers removed, containerd alone", "s", aloneDown)
	r.atMost("scale from 0 to 100, to containerd alone", up.median()/aloneUp.median(), scaleAim, "x")
	r.atMost("scale from 100 to 0, to containerd alone", down.median()/aloneDown.median(), scaleAim, "x")
}

// over waits until all tasks of a service have stopped.
func (n *node) over(t *testing.T, service string) {
	t.Helper()
	n.until(t, "all tasks have stopped", func() error {
		list, err := n.client.Tasks.ListTasks(t.Context(), &warrenv1.ListTasksRequest{Service: service})
		for _, task := range list.GetTasks() {
			if task.GetStatus().GetState() != warrenv1.TaskState_TASK_STATE_STOPPED {
				return fmt.Errorf("task %s has not", task.GetMeta().GetName())
			}
		}
		return err
	})
}

func seconds(do func()) float64 {
	began := time.Now()
	do()
	return time.Since(began).Seconds()
}

// inParallel does something for each of the containers, a few at once.
func inParallel(do func(k int)) {
	var group sync.WaitGroup
	for worker := range atOnce {
		group.Go(func() {
			for k := worker; k < scaleTasks; k += atOnce {
				do(k)
			}
		})
	}
	group.Wait()
}
