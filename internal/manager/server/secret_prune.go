package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// PruneSecret drops the versions of a secret that are not among its newest and
// that nobody uses.
func (s *secrets) PruneSecret(ctx context.Context, r *warrenv1.PruneSecretRequest) (*warrenv1.PruneSecretResponse, error) {
	if r.GetKeep() != 0 {
		if err := spec.KeepVersions(r.GetRef().GetNameOrId(), r.GetKeep()); err != nil {
			return nil, err
		}
	}
	answer := &warrenv1.PruneSecretResponse{}
	id, err := s.commit(ctx, func(tx *store.Tx) (string, error) {
		secret, err := find(tx.Secrets(), spec.KindSecret, r.GetRef())
		if err != nil {
			return "", err
		}
		keep := spec.Keep(secret)
		if r.GetKeep() != 0 {
			keep = int(r.GetKeep())
		}
		answer.Dropped, answer.InUse, err = tx.PruneSecret(secret, keep)
		if err != nil || len(answer.Dropped) == 0 {
			return secret.GetMeta().GetId(), err
		}
		return secret.GetMeta().GetId(), errors.Join(
			tx.Events().Append(s.event(secret.GetMeta(), spec.KindSecret, "pruned",
				fmt.Sprintf("%s, by %s", countVersions(answer.Dropped), callerName(ctx)))),
			s.audit(ctx, tx, "pruned", spec.KindSecret, secret.GetMeta(), answer.Dropped...))
	})
	if err != nil {
		return nil, err
	}
	answer.Secret, err = s.read(ctx, &warrenv1.Ref{Namespace: r.GetRef().GetNamespace(), NameOrId: id})
	return answer, err
}

// countVersions names versions: version 3, versions 3, 4.
func countVersions(numbers []uint64) string {
	word := "version "
	if len(numbers) > 1 {
		word = "versions "
	}
	return word + strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}

// fillSecretTasks adds the tasks that have a secret, or are to have it.
func fillSecretTasks(tx *store.ReadTx, secret *warrenv1.Secret) error {
	m := secret.GetMeta()
	services, err := users(tx, m.GetNamespace(), m.GetId())
	for _, service := range services {
		for key, task := range tx.Tasks().OfService(m.GetNamespace(), service.GetMeta().GetId()) {
			status, e := optional(tx.TaskStatus().Peek(key.Parts()...))
			if err = errors.Join(err, e); e != nil || spec.Terminal(status.GetState()) {
				continue
			}
			if entry := secretTask(m.GetId(), task, status); entry != nil {
				secret.Tasks = append(secret.Tasks, entry)
			}
		}
	}
	return err
}

// secretTask says what a task has of a secret; nil when nothing.
func secretTask(secretID string, task *warrenv1.Task, status *warrenv1.TaskStatus) *warrenv1.SecretTask {
	entry := &warrenv1.SecretTask{Task: task.GetMeta().GetName(), TaskId: task.GetMeta().GetId(), Service: task.GetService()}
	found := false
	for _, pin := range task.GetSecrets() {
		if pin.GetSecretId() == secretID {
			entry.Wanted, found = pin.GetVersion(), true
		}
	}
	for _, seen := range status.GetSecrets() {
		if seen.GetSecretId() == secretID {
			entry.Version, found = seen.GetVersion(), true
		}
	}
	if task.GetDesired() == warrenv1.DesiredState_DESIRED_STATE_STOPPED {
		entry.Wanted, found = entry.GetVersion(), entry.GetVersion() != 0
	}
	if !found {
		return nil
	}
	return entry
}
