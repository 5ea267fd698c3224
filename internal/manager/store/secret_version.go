package store

import (
	"errors"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// SecretVersionUsers lists who needs the versions of a secret: tasks that are
// not over, and services whose specs, kept ones included, name a version.
//
// It scans, and scans are not guarded. It is enough all the same for a
// transaction that drops old versions of what it read: whoever begins to use a
// version depends on the secret's row, and uses the newest, or one that a kept
// spec names, or writes the secret's Uses.
func (tx *ReadTx) SecretVersionUsers(secret *warrenv1.Secret) (map[uint64][]*warrenv1.Usage, error) {
	users := versionUsers{}
	m := secret.GetMeta()
	for key, task := range tx.Tasks().List(m.GetNamespace()) {
		status, err := tx.TaskStatus().Peek(key.Parts()...)
		if ignoreNotFound(err) != nil {
			return nil, err
		}
		if spec.Terminal(status.GetState()) {
			continue
		}
		usage := &warrenv1.Usage{Kind: spec.KindTask, Name: task.GetMeta().GetName(), Id: task.GetMeta().GetId()}
		for _, pin := range task.GetSecrets() {
			// One that is about to stop fetches nothing any more.
			if pin.GetSecretId() == m.GetId() && task.GetDesired() != warrenv1.DesiredState_DESIRED_STATE_STOPPED {
				users.add(pin.GetVersion(), usage)
			}
		}
		for _, seen := range status.GetSecrets() {
			if seen.GetSecretId() == m.GetId() {
				users.add(seen.GetVersion(), usage)
			}
		}
	}
	for _, service := range tx.Services().List(m.GetNamespace()) {
		users.addSpec(service.GetMeta(), service.GetSpec(), m.GetName())
	}
	for key, revision := range tx.ServiceRevisions().List(m.GetNamespace()) {
		service, err := tx.Services().Peek(key.Parts()[:2]...)
		if ignoreNotFound(err) != nil {
			return nil, err
		}
		users.addSpec(service.GetMeta(), revision.GetSpec(), m.GetName())
	}
	return users, nil
}

// versionUsers are users by the number of the version.
type versionUsers map[uint64][]*warrenv1.Usage

func (u versionUsers) add(version uint64, usage *warrenv1.Usage) {
	if !slices.ContainsFunc(u[version], func(known *warrenv1.Usage) bool { return known.GetId() == usage.GetId() }) {
		u[version] = append(u[version], usage)
	}
}

func (u versionUsers) addSpec(service *warrenv1.Meta, s *warrenv1.ServiceSpec, secret string) {
	for _, mount := range s.GetContainer().GetSecrets() {
		if mount.GetSecret() == secret && mount.GetVersion() != 0 {
			u.add(mount.GetVersion(), &warrenv1.Usage{Kind: spec.KindService, Name: service.GetName(), Id: service.GetId()})
		}
	}
}

// PruneSecret drops those versions of a secret that are not among its newest
// keep and that nobody uses. It returns their numbers, and who uses the others
// that are too many. The secret must have been read with Get, and no version
// must have been added to it in this transaction.
func (tx *Tx) PruneSecret(secret *warrenv1.Secret, keep int) (dropped []uint64, inUse []*warrenv1.VersionInUse, err error) {
	old := spec.OldVersions(secret, keep)
	if len(old) == 0 {
		return nil, nil, nil
	}
	m := secret.GetMeta()
	// A service that names a version from now on writes this row.
	if _, err := tx.Uses().Get(m.GetNamespace(), m.GetId()); ignoreNotFound(err) != nil {
		return nil, nil, err
	}
	users, err := tx.SecretVersionUsers(secret)
	if err != nil {
		return nil, nil, err
	}
	for _, number := range old {
		if len(users[number]) > 0 {
			inUse = append(inUse, &warrenv1.VersionInUse{Version: number, UsedBy: users[number]})
			continue
		}
		dropped = append(dropped, number)
		err = errors.Join(err, tx.SecretValues().Delete(m.GetNamespace(), m.GetId(), Version(number)))
	}
	if err != nil || len(dropped) == 0 {
		return nil, inUse, err
	}
	secret.Versions = slices.DeleteFunc(secret.GetVersions(), func(v *warrenv1.SecretVersion) bool {
		return slices.Contains(dropped, v.GetNumber())
	})
	tx.Reclaim()
	return dropped, inUse, tx.Secrets().Put(secret)
}
