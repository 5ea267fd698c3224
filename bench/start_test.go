//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// startAim is how much slower than containerd alone a service may start.
const startAim = 2

// command ends at once when it is asked to.
var command = []string{"sh", "-c", "trap exit TERM; sleep 1000 & wait"}

// TestStart starts the same container through Warren's API, through its CLI,
// and through the containerd inside Warren without the rest.
func TestStart(t *testing.T) {
	n, r := startNode(t), result
	n.run(t, "image", "load", built(t, ".cache/images/busybox.tar", "images"))
	var api, cli, alone samples
	bare := n.openBare(t, n.runOne(t, "model", n.createByAPI))
	for i := range rounds {
		api = append(api, n.startOne(t, fmt.Sprint("api", i), n.createByAPI))
		alone = append(alone, bare.start(t, fmt.Sprint("bare", i)))
		cli = append(cli, n.startOne(t, fmt.Sprint("cli", i), n.createByCLI))
	}
	bare.close()
	n.run(t, "service", "delete", "model")
	r.measurement("service create until it runs, API", "ms", api)
	r.measurement("service create until it runs, CLI", "ms", cli)
	r.measurement("the same container, containerd alone", "ms", alone)
	r.atMost("service create, API, to containerd alone", api.median()/alone.median(), startAim, "x")
	r.atMost("service create, CLI, to containerd alone", cli.median()/alone.median(), startAim, "x")
}

// startOne measures one service in milliseconds, and removes it.
func (n *node) startOne(t *testing.T, name string, create func(t *testing.T, name string)) float64 {
	t.Helper()
	n.prepare(t, name)
	began := time.Now()
	create(t, name)
	n.running(t, name)
	took := time.Since(began)
	n.run(t, "service", "delete", name)
	n.run(t, "volume", "delete", "-y", name)
	n.run(t, "secret", "delete", "-y", name)
	return took.Seconds() * 1e3
}

// runOne starts a service and returns its task's ID.
func (n *node) runOne(t *testing.T, name string, create func(t *testing.T, name string)) string {
	t.Helper()
	n.prepare(t, name)
	create(t, name)
	return n.running(t, name)
}

// prepare makes the service's volume and secret, as one does before.
func (n *node) prepare(t *testing.T, name string) {
	t.Helper()
	n.run(t, "volume", "create", name)
	n.run(t, "secret", "create", name, "--from-literal", "key="+string(bytes.Repeat([]byte("x"), 64)))
}

func (n *node) createByAPI(t *testing.T, name string) {
	t.Helper()
	_, err := n.client.Services.CreateService(t.Context(), &warrenv1.CreateServiceRequest{
		Name: name,
		Spec: &warrenv1.ServiceSpec{Replicas: 1, Container: &warrenv1.ContainerSpec{
			Image: "busybox", Args: command, StopTimeout: durationpb.New(5 * time.Second),
			Volumes: []*warrenv1.VolumeMount{{Volume: name, Path: "/data"}},
			Secrets: []*warrenv1.SecretMount{{Secret: name}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) createByCLI(t *testing.T, name string) {
	t.Helper()
	n.run(t, append([]string{"service", "create", name, "--image", "busybox", "--stop-timeout", "5s",
		"--volume", name + ":/data", "--secret", name, "--"}, command...)...)
}

// running waits until the service's task reports that it runs, and returns its
// ID. The answer may be late by the pause between two questions.
func (n *node) running(t *testing.T, service string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for ; ; <-again.C {
		list, err := n.client.Tasks.ListTasks(ctx, &warrenv1.ListTasksRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range list.GetTasks() {
			if task.GetStatus().GetState() == warrenv1.TaskState_TASK_STATE_RUNNING {
				return task.GetMeta().GetId()
			}
		}
	}
}
