package secret

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// notice is what people have to be told of a secret's expiry now; nil when it
// is nothing, or nothing new.
func notice(secret *warrenv1.Secret, now time.Time) *warrenv1.ExpiryNotice {
	_, soon, over := spec.Expiry(secret, now)
	if !soon && !over {
		return nil
	}
	newest := spec.NewestVersion(secret)
	n := &warrenv1.ExpiryNotice{Version: newest.GetNumber(), ExpiresAt: newest.GetExpiresAt(), Expired: over}
	if proto.Equal(n, secret.GetNotice()) {
		return nil
	}
	return n
}

// nextNotice is when there will be something to tell; zero for never.
func nextNotice(secret *warrenv1.Secret, now time.Time) time.Time {
	switch at, soon, over := spec.Expiry(secret, now); {
	case at.IsZero() || over:
		return time.Time{}
	case soon:
		return at
	default:
		return at.Add(-spec.ExpiryNotice)
	}
}

// tell says it in an event, and notes that it was said.
func tell(tx *store.Tx, secret *warrenv1.Secret, n *warrenv1.ExpiryNotice, now time.Time) error {
	secret.Notice = n
	if err := tx.Secrets().Put(secret); err != nil {
		return err
	}
	at := n.GetExpiresAt().AsTime()
	reason, message := "expiring", fmt.Sprintf("version %d expires %s, on %s", n.GetVersion(), spec.FormatUntil(at, now), at.Format(time.DateOnly))
	if n.GetExpired() {
		reason, message = "expired", fmt.Sprintf("version %d was good until %s", n.GetVersion(), at.Format(time.DateOnly))
	}
	return tx.Events().Append(event(secret.GetMeta(), now, reason,
		message+"; it stays as it is: warren secret update "+secret.GetMeta().GetName()+" --from-stdin gives it a new value"))
}
