package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

func publishing(name string, ports ...*warrenv1.PublishedPort) *warrenv1.CreateServiceRequest {
	r := serviceRequest(name)
	r.Spec.Container.Ports = ports
	return r
}

func tcp(host, container uint32) *warrenv1.PublishedPort {
	return &warrenv1.PublishedPort{HostPort: host, ContainerPort: container}
}

func TestAPortBelongsToOneService(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	c.addWorker("worker-1", &worker{})
	if _, err := a.CreateService(ctx, publishing("db", tcp(5432, 5432))); err != nil {
		t.Fatal(err)
	}
	_, err := a.CreateService(ctx, publishing("other", tcp(0, 80), tcp(5432, 80)))
	wantError(t, err, codes.FailedPrecondition, "port 5432/tcp is published by service db")
	_, err = a.GetService(ctx, ref("other"))
	wantError(t, err, codes.NotFound, "does not exist") // nothing half-done

	udp := tcp(5432, 5432)
	udp.Protocol = warrenv1.Protocol_PROTOCOL_UDP
	if _, err := a.CreateService(ctx, publishing("db-udp", udp)); err != nil {
		t.Errorf("the same number of another protocol: %v", err)
	}
	if _, err := a.DeleteService(ctx, &warrenv1.DeleteServiceRequest{Ref: ref("db")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateService(ctx, publishing("other", tcp(5432, 80))); err != nil {
		t.Errorf("a port whose service is gone: %v", err)
	}
}

func TestPortsThatNobodyNamedAreChosen(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	seen := map[uint32]bool{}
	for _, name := range []string{"one", "two", "three"} {
		created, err := a.CreateService(ctx, publishing(name, tcp(0, 80), tcp(0, 81)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range created.GetService().GetSpec().GetContainer().GetPorts() {
			if n := p.GetHostPort(); n < spec.FirstChosenPort || n > spec.LastChosenPort || seen[n] {
				t.Errorf("port %d was chosen for %s, after %v", n, name, seen)
			}
			seen[p.GetHostPort()] = true
		}
	}
}
