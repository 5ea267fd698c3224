package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

func (c *cluster) spaces() warrenv1.NamespacesClient {
	return warrenv1.NewNamespacesClient(c.dial("alice", warrenv1.Role_ROLE_ADMIN))
}

func (c *cluster) secretIn(namespace, name, value string) *warrenv1.CreateSecretRequest {
	return &warrenv1.CreateSecretRequest{Namespace: namespace, Name: name, Items: []*warrenv1.SealedItem{
		c.sealed(seal.ToClusterInfo(clusterID, namespace, name, ""), "", value),
	}}
}

func sized(namespace, name string, bytes uint64) *warrenv1.CreateVolumeRequest {
	return &warrenv1.CreateVolumeRequest{Namespace: namespace, Name: name, Spec: &warrenv1.VolumeSpec{SizeBytes: bytes}}
}

func TestSameNamesInTwoNamespacesNeverMeet(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	_, err := a.CreateSecret(ctx, c.secretIn("prod", "db", "prod's"))
	hint := wantError(t, err, codes.NotFound, `namespace "prod" does not exist`)
	if hint != "warren namespace create prod" {
		t.Errorf("hint %q", hint)
	}
	_, err = a.CreateVolume(ctx, sized("prod", "db", 0))
	wantError(t, err, codes.NotFound, `namespace "prod" does not exist`)
	r := serviceRequest("db")
	r.Namespace = "prod"
	_, err = a.CreateService(ctx, r)
	wantError(t, err, codes.NotFound, `namespace "prod" does not exist`)

	must[*warrenv1.Namespace](t)(c.spaces().CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: "prod"}))
	for _, namespace := range []string{"default", "prod"} {
		must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretIn(namespace, "db", namespace+"'s")))
		must[*warrenv1.Volume](t)(a.CreateVolume(ctx, sized(namespace, "db", 0)))
		r := serviceRequest("db")
		r.Namespace = namespace
		r.Spec.Container.Secrets = []*warrenv1.SecretMount{{Secret: "db"}}
		r.Spec.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "db", Path: "/data"}}
		must[*warrenv1.CreateServiceResponse](t)(a.CreateService(ctx, r))
	}
	for _, namespace := range []string{"default", "prod"} {
		s := must[*warrenv1.Service](t)(a.GetService(ctx, &warrenv1.Ref{Namespace: namespace, NameOrId: "db"}))
		v := must[*warrenv1.Volume](t)(a.GetVolume(ctx, &warrenv1.Ref{Namespace: namespace, NameOrId: "db"}))
		if s.GetMeta().GetNamespace() != namespace || len(v.GetUsedBy()) == 0 || v.GetUsedBy()[0].GetId() != s.GetMeta().GetId() {
			t.Errorf("%s: %v uses %v", namespace, s.GetMeta(), v.GetUsedBy())
		}
		got, err := c.export(&warrenv1.ExportSecretsRequest{Namespace: namespace})
		if err != nil || fmt.Sprint(got) != fmt.Sprintf("[%s/db 1 =%s's]", namespace, namespace) {
			t.Errorf("%s: %v, %v", namespace, got, err)
		}
	}
	_, err = c.spaces().DeleteNamespace(ctx, &warrenv1.DeleteNamespaceRequest{Name: "prod"})
	wantError(t, err, codes.FailedPrecondition, `namespace "prod" is not empty: it has service db, volume db, secret db`)
}

func TestQuotas(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a, spaces := c.admin(), c.spaces()
	const gb = 1 << 30
	must[*warrenv1.Namespace](t)(spaces.CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: "prod", VolumeQuota: 10 * gb, SecretQuota: 2}))
	_, err := spaces.CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: "prod"})
	wantError(t, err, codes.AlreadyExists, `namespace "prod" already exists`)
	for _, bad := range []string{"", "Prod", "warren", "all", "a/b"} {
		if _, err := spaces.CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: bad}); err == nil {
			t.Errorf("%q is a namespace", bad)
		}
	}
	must[*warrenv1.Volume](t)(a.CreateVolume(ctx, sized("prod", "six", 6*gb)))
	_, err = a.CreateVolume(ctx, sized("prod", "five", 5*gb))
	wantError(t, err, codes.ResourceExhausted, `namespace "prod" would have volumes of`)
	_, err = a.CreateVolume(ctx, sized("prod", "any", 0))
	if hint := wantError(t, err, codes.FailedPrecondition, `volume "any" needs a size`); hint != "warren volume create any --size 1G -n prod" {
		t.Errorf("hint %q", hint)
	}
	r := serviceRequest("db")
	r.Namespace = "prod"
	r.Spec.Container.Volumes = []*warrenv1.VolumeMount{{Volume: "first-use", Path: "/data"}}
	_, err = a.CreateService(ctx, r)
	wantError(t, err, codes.FailedPrecondition, `volume "first-use" needs a size`)
	_, err = a.ResizeVolume(ctx, &warrenv1.ResizeVolumeRequest{Ref: &warrenv1.Ref{Namespace: "prod", NameOrId: "six"}, SizeBytes: 11 * gb})
	wantError(t, err, codes.ResourceExhausted, "its quota is")

	eleven := uint64(5 * gb)
	_, err = spaces.UpdateNamespace(ctx, &warrenv1.UpdateNamespaceRequest{Name: "prod", VolumeQuota: &eleven})
	wantError(t, err, codes.ResourceExhausted, "would have volumes of")
	none := uint64(0)
	n := must[*warrenv1.Namespace](t)(spaces.UpdateNamespace(ctx, &warrenv1.UpdateNamespaceRequest{Name: "prod", VolumeQuota: &none}))
	if n.GetVolumeQuota() != 0 || n.GetSecretQuota() != 2 || n.GetUse().GetVolumeBytes() != 6*gb || n.GetUse().GetVolumes() != 1 {
		t.Errorf("got %v", n)
	}
	must[*warrenv1.Volume](t)(a.CreateVolume(ctx, sized("prod", "any", 0)))

	// An import is refused as a whole.
	_, err = c.imports(warrenv1.OnConflict_ON_CONFLICT_FAIL, c.in("prod", "a", 1, "x"), c.in("prod", "b", 1, "x"), c.in("prod", "c", 1, "x"))
	wantError(t, err, codes.ResourceExhausted, "would have 3 secrets")
	if n := c.loose(); n != 0 {
		t.Errorf("%d values belong to nobody", n)
	}

	// The default one is there without being made, and can have quotas too.
	one := uint64(1)
	must[*warrenv1.Namespace](t)(spaces.UpdateNamespace(ctx, &warrenv1.UpdateNamespaceRequest{Name: "default", SecretQuota: &one}))
	must[*warrenv1.Secret](t)(a.CreateSecret(ctx, c.secretRequest("one", "x")))
	_, err = a.CreateSecret(ctx, c.secretRequest("two", "x"))
	wantError(t, err, codes.ResourceExhausted, `namespace "default" would have 2 secrets; its quota is 1`)
	_, err = spaces.DeleteNamespace(ctx, &warrenv1.DeleteNamespaceRequest{Name: "default"})
	wantError(t, err, codes.FailedPrecondition, "cannot be deleted")
	list := must[*warrenv1.ListNamespacesResponse](t)(spaces.ListNamespaces(ctx, &warrenv1.ListNamespacesRequest{}))
	if len(list.GetNamespaces()) != 2 || list.GetNamespaces()[0].GetMeta().GetName() != "default" {
		t.Errorf("listed %v", list)
	}
}

// However many come at once, no more are let in than may be.
func TestQuotasHoldUnderConcurrentCreation(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	const quota, tries = 7, 24
	must[*warrenv1.Namespace](t)(c.spaces().CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: "prod", SecretQuota: quota}))
	var requests []*warrenv1.CreateSecretRequest
	for i := range tries {
		requests = append(requests, c.secretIn("prod", fmt.Sprint("s", i), "x"))
	}
	var creating sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for _, r := range requests {
		creating.Go(func() {
			_, err := a.CreateSecret(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else if !strings.Contains(err.Error(), "its quota is 7") {
				t.Errorf("got %v", err)
			}
		})
	}
	creating.Wait()
	if made != quota {
		t.Errorf("%d secrets were made, the quota is %d", made, quota)
	}
}

// Nothing is made in a namespace while it is deleted.
func TestANamespaceIsDeletedEmptyOrNotAtAll(t *testing.T) {
	c := newCluster(t)
	a, spaces := c.admin(), c.spaces()
	for i := range 20 {
		name := fmt.Sprint("ns", i)
		must[*warrenv1.Namespace](t)(spaces.CreateNamespace(ctx, &warrenv1.CreateNamespaceRequest{Name: name}))
		r := c.secretIn(name, "s", "x")
		var both sync.WaitGroup
		var created, deleted error
		both.Go(func() { _, created = a.CreateSecret(ctx, r) })
		both.Go(func() {
			_, deleted = spaces.DeleteNamespace(ctx, &warrenv1.DeleteNamespaceRequest{Name: name})
		})
		both.Wait()
		if (created == nil) == (deleted == nil) {
			t.Errorf("created: %v, deleted: %v", created, deleted)
		}
	}
}
