package testkit

import (
	"log/slog"
	"testing"

	"google.golang.org/grpc"

	"github.com/cuemby/warren/internal/manager/keeper"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
)

// NewKeeper returns the keeper of a manager that is alone, with the keys of a
// cluster that the test has created. Its files are in a directory of the test.
func NewKeeper(t testing.TB, s *store.Store, created *vault.Created) *keeper.Keeper {
	t.Helper()
	k, err := keeper.New(keeper.Config{
		Store: s, Vault: created.Vault, NodeID: "node-test-000001", NodeName: "m1", Dir: t.TempDir(),
		Peers: Alone{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := seal.ParseUnlockKey(created.Unlock.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	k.Give(unlock)
	t.Cleanup(k.Close)
	return k
}

// Alone is a manager without others.
type Alone struct{}

// Others implements keeper.Peers.
func (Alone) Others() ([]keeper.Peer, error) { return nil, nil }

// Leader implements keeper.Peers.
func (Alone) Leader() string { return "node-test-000001" }

// To implements keeper.Peers.
func (Alone) To(string) (grpc.ClientConnInterface, error) { panic("there is nobody to call") }
