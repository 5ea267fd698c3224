// Package rotate replaces the key that seals values, and with it the unlock key
// if a person asked for that. A rotation is a row whose phase says how far it
// is; each step is one transaction and may be repeated, so whoever leads next,
// or starts again after a crash, goes on from what was committed:
//
//	requested    ─ a new data key is put into the ring ─▶
//	published    ─ it seals from now on ─▶
//	resealing    ─ batch by batch, what the old one sealed ─▶
//	handing out  ─ every manager has the next unlock key, the old keys go ─▶
//	done
//
// Values can be read and written throughout: between two neighbouring steps
// both rings open what either seals, and whoever stores a value depends on the
// key that seals it (store.ErrStaleKey).
package rotate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/reconcile"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/manager/vault"
)

// Vault changes the row of the keys, and seals values again.
type Vault interface {
	Publish(row *storepb.ClusterKeys) (next *storepb.ClusterKeys, keyID string, err error)
	Promote(row *storepb.ClusterKeys, keyID string) (*storepb.ClusterKeys, error)
	Reseal(values []vault.Stored) (unreadable map[int]error, err error)
	ResealKeys(row *storepb.ClusterKeys) (*storepb.ClusterKeys, error)
	Retire(row *storepb.ClusterKeys, keyID string) (*storepb.ClusterKeys, error)
}

// Keeper knows what the managers hold.
type Keeper interface {
	// Sync returns once this manager's vault is as the state says.
	Sync(ctx context.Context) error
	// Lacking names the managers that answer and do not hold the unlock key with
	// that fingerprint yet.
	Lacking(ctx context.Context, fingerprint string) ([]string, error)
}

// Reconciler carries rotations out.
type Reconciler struct {
	store  *store.Store
	vault  Vault
	keeper Keeper
	log    *slog.Logger
	now    func() time.Time
}

// New returns a reconciler that does nothing before Run.
func New(s *store.Store, v Vault, k Keeper, log *slog.Logger) *Reconciler {
	return &Reconciler{store: s, vault: v, keeper: k, log: log, now: time.Now}
}

// Run rotates until ctx ends. Run it on the leader only, once.
func (r *Reconciler) Run(ctx context.Context) error {
	var timetable sync.WaitGroup
	timetable.Go(func() { r.keepTimetable(ctx) })
	defer timetable.Wait()
	return reconcile.Run(ctx, r.store, r.log, r.react, store.TableRotation)
}

func (r *Reconciler) react(ctx context.Context, _ store.Changes) error {
	for {
		more, err := r.step(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// step does what the present phase asks for; more says that there is another.
func (r *Reconciler) step(ctx context.Context) (more bool, err error) {
	rotation, err := r.current(ctx)
	if err != nil {
		return false, err
	}
	steps := map[warrenv1.RotationPhase]func(context.Context) error{
		warrenv1.RotationPhase_ROTATION_PHASE_REQUESTED:   r.publish,
		warrenv1.RotationPhase_ROTATION_PHASE_PUBLISHED:   r.promote,
		warrenv1.RotationPhase_ROTATION_PHASE_RESEALING:   r.reseal,
		warrenv1.RotationPhase_ROTATION_PHASE_HANDING_OUT: r.handOut,
	}
	do := steps[rotation.GetPhase()]
	if do == nil {
		return false, nil
	}
	if err := r.keeper.Sync(ctx); err != nil {
		return false, err
	}
	return true, do(ctx)
}

// current is the last rotation; nil when there was none.
func (r *Reconciler) current(ctx context.Context) (rotation *warrenv1.Rotation, err error) {
	err = r.store.ViewStale(ctx, func(tx *store.ReadTx) error {
		rotation, err = tx.Rotation().Get()
		return unlessNotFound(err)
	})
	return rotation, err
}

func unlessNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
