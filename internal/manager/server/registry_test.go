package server_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/seal"
)

func TestARegistrysPasswordIsASecretNobodySees(t *testing.T) {
	c := newCluster(t)
	a := c.admin()
	const host = "registry.example:5000"
	login := func(password string) (*warrenv1.Registry, error) {
		return a.SetRegistry(ctx, &warrenv1.SetRegistryRequest{Host: host, Username: "bob",
			Password: c.sealed(seal.ToClusterRegistryInfo(clusterID, host), "", password)})
	}
	first, err := login("one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := login("two")
	if err != nil || second.GetSecretId() == first.GetSecretId() {
		t.Fatalf("got %v, %v", second, err)
	}
	secrets := func() (n int) {
		c.view(func(tx *store.ReadTx) error {
			for range tx.SecretValues().Keys() {
				n++
			}
			return nil
		})
		return n
	}
	if n := secrets(); n != 1 {
		t.Errorf("%d values are kept", n)
	}
	if list, err := a.ListSecrets(ctx, nil); err != nil || len(list.GetSecrets()) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
	_, err = a.GetSecret(ctx, &warrenv1.Ref{Namespace: "warren", NameOrId: second.GetSecretId()})
	wantError(t, err, codes.InvalidArgument, "reserved")
	if list, err := a.ListRegistries(ctx, &warrenv1.ListRegistriesRequest{}); err != nil || len(list.GetRegistries()) != 1 ||
		list.GetRegistries()[0].GetUsername() != "bob" {
		t.Errorf("got %v, %v", list, err)
	}
	if _, err := a.DeleteRegistry(ctx, &warrenv1.DeleteRegistryRequest{Host: host}); err != nil {
		t.Fatal(err)
	}
	if n := secrets(); n != 0 {
		t.Errorf("%d values are kept", n)
	}
	_, err = a.DeleteRegistry(ctx, &warrenv1.DeleteRegistryRequest{Host: host})
	wantError(t, err, codes.NotFound, "nothing is known of registry")
	_, err = a.SetRegistry(ctx, &warrenv1.SetRegistryRequest{Host: "https://x"})
	wantError(t, err, codes.InvalidArgument, "not a host name")
	_, err = a.SetRegistry(ctx, &warrenv1.SetRegistryRequest{Host: host, Username: "bob", Password: c.secretItem(host, "", "x")})
	wantError(t, err, codes.InvalidArgument, "not sealed for it")
}

func TestNodesAndTheCluster(t *testing.T) {
	c := newCluster(t)
	c.addWorker("worker-1", &worker{})
	a := c.admin()
	cluster, err := a.GetCluster(ctx, &warrenv1.GetClusterRequest{})
	if err != nil || cluster.GetId() != clusterID || cluster.GetVersion() != "1.2.3" || len(cluster.GetSealingKey()) == 0 {
		t.Errorf("got %v, %v", cluster, err)
	}
	node, err := a.GetNode(ctx, ref("worker-1"))
	if err != nil || node.GetStatus().GetState() != warrenv1.NodeState_NODE_STATE_READY || node.GetLeader() {
		t.Errorf("got %v, %v", node, err)
	}
	for filter, want := range map[string]int{"disk=fast": 1, "disk=slow": 0} {
		list, err := a.ListNodes(ctx, &warrenv1.Filter{Labels: []string{filter}})
		if err != nil || len(list.GetNodes()) != want {
			t.Errorf("got %v, %v", list, err)
		}
	}
	_, err = a.GetNode(ctx, ref("worker-2"))
	wantError(t, err, codes.NotFound, `node "worker-2" does not exist`)
}
