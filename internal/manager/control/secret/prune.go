package secret

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// pruneAgain is how long versions that are too many, but in use, are left
// alone.
const pruneAgain = 10 * time.Minute

func tooMany(secret *warrenv1.Secret) bool {
	return len(spec.OldVersions(secret, spec.Keep(secret))) > 0
}

// prune drops the versions that are too many and in nobody's use.
func prune(tx *store.Tx, secret *warrenv1.Secret, now time.Time) error {
	dropped, _, err := tx.PruneSecret(secret, spec.Keep(secret))
	if err != nil || len(dropped) == 0 {
		return err
	}
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(dropped), " ", ", "), "[]")
	m := secret.GetMeta()
	return errors.Join(
		tx.Events().Append(event(m, now, "pruned", fmt.Sprintf("version %s: the newest %d are kept", numbers, spec.Keep(secret)))),
		tx.Audit().Append(&warrenv1.AuditRecord{
			Time: timestamppb.New(now), Actor: "warren", Role: warrenv1.Role_ROLE_MANAGER, Action: "pruned",
			Kind: spec.KindSecret, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(), Versions: dropped,
		}))
}

func event(m *warrenv1.Meta, now time.Time, reason, message string) *warrenv1.Event {
	return &warrenv1.Event{
		Time: timestamppb.New(now), Kind: spec.KindSecret, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(),
		Reason: reason, Message: message,
	}
}
