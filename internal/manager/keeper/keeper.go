// Package keeper keeps a manager's vault open: it holds the unlock key, and
// loads the cluster's keys whenever they change. Where the unlock key comes
// from depends on the cluster:
//
//   - by default it lies in a file beside the state, and a manager that was
//     down while it was replaced asks another manager for the new one;
//   - with autolock it is in no file. A manager starts sealed, until a person
//     gives it the key.
//
// While an unlock key is replaced, the next one is kept beside the present one,
// so that whichever of them the keys need after a crash is there.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
)

// Peer is another manager.
type Peer struct{ NodeID, Address string }

// Peers are the other managers.
type Peers interface {
	// Others lists them, as far as this manager knows.
	Others() ([]Peer, error)
	// Leader is the node ID of the leader, empty while there is none.
	Leader() string
	// To connects to the manager at an address.
	To(address string) (grpc.ClientConnInterface, error)
}

// Config is what a Keeper is made of.
type Config struct {
	Store *store.Store
	Vault *vault.Vault
	// NodeID and NodeName are this manager's.
	NodeID, NodeName string
	// Dir is where the unlock key is kept.
	Dir   string
	Peers Peers
	// Scrub removes from the disk what the state was before: called when the
	// unlock key was replaced. It may be called again.
	Scrub func(context.Context) error
	Log   *slog.Logger
}

// Keeper is safe for concurrent use.
type Keeper struct {
	Config
	files files
	// channel is the key of this run to which unlock keys are sealed.
	channel *seal.EnvelopeKey

	mu sync.Mutex
	// unlock and next are zero when there is none.
	unlock, next seal.UnlockKey
	// loaded is the wrapped ring that the vault has.
	loaded string
	// needed is the fingerprint of the unlock key that the keys need.
	needed string
}

// New returns a keeper that has no key yet.
func New(c Config) (*Keeper, error) {
	channel, err := seal.GenerateEnvelopeKey()
	if err != nil {
		return nil, err
	}
	return &Keeper{Config: c, files: files{c.Dir}, channel: channel}, nil
}

// Give has the keeper hold an unlock key that the node was given before there
// was a keeper.
func (k *Keeper) Give(unlock seal.UnlockKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold(unlock)
}

// sealedRetry is how often a sealed manager looks for the key again.
const sealedRetry = 2 * time.Second

// Run follows the cluster's keys until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	w := k.Store.Watch(store.TableCluster, store.TableClusterKeys, store.TableClusterSettings)
	defer w.Close()
	for {
		until, cancel := ctx, context.CancelFunc(func() {})
		if err := k.Sync(ctx); err != nil && ctx.Err() == nil {
			k.Log.Warn("the cluster's keys cannot be followed; trying again", "error", err)
			until, cancel = context.WithTimeout(ctx, sealedRetry)
		}
		_, err := w.Next(until)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// Sync has the vault hold the keys that the state of this manager has now, if
// the unlock key is to be had. A manager of an autolocked cluster that nobody
// has unlocked stays sealed without an error.
func (k *Keeper) Sync(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	// Read with the lock held: who waited for it must not load what was before.
	cluster, row, err := k.rows(ctx)
	if err != nil {
		return err
	}
	k.needed = row.GetUnlockKeyFingerprint()
	if cluster.GetId() != k.Vault.ClusterID() {
		return fmt.Errorf("the database is of cluster %s, this node is of cluster %s; restore a backup of this cluster", cluster.GetId(), k.Vault.ClusterID())
	}
	if err := k.load(ctx, cluster, row); err != nil {
		return err
	}
	if k.Vault.Sealed() {
		return nil
	}
	if err := k.keep(cluster, row); err != nil {
		return err
	}
	return k.scrub(ctx, row)
}

func (k *Keeper) rows(ctx context.Context) (cluster *warrenv1.Cluster, row *storepb.ClusterKeys, err error) {
	err = k.Store.ViewStale(ctx, func(tx *store.ReadTx) error {
		var errCluster, errRow error
		cluster, errCluster = tx.Cluster().Get()
		row, errRow = tx.ClusterKeys().Get()
		settings, errSettings := tx.ClusterSettings().Get()
		if errors.Is(errSettings, store.ErrNotFound) {
			errSettings = nil
		}
		if cluster != nil {
			cluster.Settings = settings
		}
		return errors.Join(errCluster, errRow, errSettings)
	})
	return cluster, row, err
}

// load opens the keys with whichever unlock key fits.
func (k *Keeper) load(ctx context.Context, cluster *warrenv1.Cluster, row *storepb.ClusterKeys) error {
	if !k.Vault.Sealed() && k.loaded == string(row.GetWrappedRing()) {
		return nil
	}
	if err := k.find(ctx, cluster, row); err != nil {
		return err
	}
	if k.unlock.IsZero() && cluster.GetSettings().GetAutolock() {
		return nil
	}
	if err := k.Vault.Load(cluster, row, k.unlock); err != nil {
		return err
	}
	k.loaded = string(row.GetWrappedRing())
	return nil
}

// find looks for the unlock key that a row needs: the one in use, the one that
// was to come next, those in the files, and at last another manager's. When
// none fits, the one in use stays.
func (k *Keeper) find(ctx context.Context, cluster *warrenv1.Cluster, row *storepb.ClusterKeys) error {
	fits := func(u seal.UnlockKey) bool { return !u.IsZero() && u.Fingerprint() == row.GetUnlockKeyFingerprint() }
	if fits(k.unlock) {
		return nil
	}
	if fits(k.next) {
		k.hold(k.next)
		k.next = seal.UnlockKey{}
		return nil
	}
	var failed error
	for _, read := range []func() (seal.UnlockKey, error){k.files.read, k.files.readNext} {
		u, err := read()
		if fits(u) {
			k.hold(u)
			return nil
		}
		failed = errors.Join(failed, err)
		if k.unlock.IsZero() && err == nil {
			k.unlock = u // its fingerprint is worth telling
		}
	}
	if cluster.GetSettings().GetAutolock() {
		return nil
	}
	u, err := k.fetch(ctx, row.GetUnlockKeyFingerprint())
	if err == nil {
		k.Log.Info("another manager gave the unlock key", "fingerprint", u.Fingerprint())
		k.hold(u)
		return nil
	}
	if k.unlock.IsZero() {
		return errors.Join(failed, err)
	}
	return nil // loading says which one is needed
}

// hold takes over an unlock key.
func (k *Keeper) hold(u seal.UnlockKey) {
	if !k.unlock.IsZero() {
		k.unlock.Destroy()
	}
	k.unlock = u
}

// keep puts the unlock keys where this manager finds them at its next start; in
// an autolocked cluster, nowhere.
func (k *Keeper) keep(cluster *warrenv1.Cluster, row *storepb.ClusterKeys) error {
	if row.GetNextUnlockKey() == nil {
		if !k.next.IsZero() {
			k.next.Destroy()
			k.next = seal.UnlockKey{}
		}
	} else if k.next.IsZero() || k.next.Fingerprint() != row.GetNextUnlockKeyFingerprint() {
		next, err := k.Vault.NextUnlockKey(row)
		if err != nil {
			return err
		}
		if !cluster.GetSettings().GetAutolock() {
			if err := k.files.writeNext(next); err != nil {
				return err
			}
		}
		k.next = next
	}
	if cluster.GetSettings().GetAutolock() {
		return k.files.remove()
	}
	return k.files.settle(k.unlock, k.next)
}

// scrub forgets what an earlier unlock key opens, once per unlock key. The mark
// is written after, so that it is done again when it was cut off.
func (k *Keeper) scrub(ctx context.Context, row *storepb.ClusterKeys) error {
	done, err := k.files.scrubbedFor()
	if err != nil || done == row.GetUnlockKeyFingerprint() {
		return err
	}
	if done != "" && k.Scrub != nil {
		if err := k.Scrub(ctx); err != nil {
			return fmt.Errorf("remove what the unlock key %s opens: %w", done, err)
		}
		k.Log.Info("what the earlier unlock key opens is gone from this manager's disk", "earlier", done, "now", row.GetUnlockKeyFingerprint())
	}
	return k.files.markScrubbed(row.GetUnlockKeyFingerprint())
}
