package server

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// bindSecrets notes the service as a user of its secrets, and names all that
// do not exist at once. A secret whose new versions replace the tasks is bound
// to its newest one, unless it is bound already.
func bindSecrets(tx *store.Tx, service *warrenv1.Service) error {
	m := service.GetMeta()
	var missing []string
	for _, mount := range service.GetSpec().GetContainer().GetSecrets() {
		secret, err := optional(tx.Secrets().ByName(m.GetNamespace(), mount.GetSecret()))
		if err != nil {
			return err
		}
		if secret == nil {
			missing = append(missing, mount.GetSecret())
			continue
		}
		if err := bindVersion(service, mount, secret); err != nil {
			return err
		}
		if err := addUse(tx, m.GetNamespace(), secret.GetMeta().GetId(), m.GetId()); err != nil {
			return err
		}
		if mount.GetVersion() != 0 {
			if err := touchUses(tx, m.GetNamespace(), secret.GetMeta().GetId()); err != nil {
				return err
			}
		}
	}
	if len(missing) > 0 {
		return spec.Problemf(spec.NotFound, spec.KindSecret, missing[0], "%s", doNotExist(spec.KindSecret, missing)).
			WithHint("warren secret create %s --from-file PATH", missing[0])
	}
	return nil
}

// bindVersion chooses the version of a secret whose new ones replace the tasks;
// control/service goes on from there.
func bindVersion(service *warrenv1.Service, mount *warrenv1.SecretMount, secret *warrenv1.Secret) error {
	restarts := spec.RestartsOnChange(mount)
	if restarts && spec.VersionOf(secret, mount.GetVersion()) == nil {
		mount.Version = 0 // a spec of before the secret was made anew
	}
	if mount.GetVersion() != 0 && spec.VersionOf(secret, mount.GetVersion()) == nil {
		return noVersion(secret, mount.GetVersion())
	}
	if !restarts {
		return nil
	}
	newest := spec.NewestVersion(secret).GetNumber()
	if mount.Version == 0 {
		mount.Version = newest
	}
	spec.Followed(service, secret.GetMeta().GetId(), newest)
	return nil
}

// keepVersions gives a new spec the versions that the manager chose for the
// one before, where it says none.
func keepVersions(next, before []*warrenv1.SecretMount) {
	for _, mount := range next {
		for _, was := range before {
			if mount.GetVersion() == 0 && spec.RestartsOnChange(mount) && spec.RestartsOnChange(was) && was.GetSecret() == mount.GetSecret() {
				mount.Version = was.GetVersion()
			}
		}
	}
}

// newestVersions binds secrets whose new versions replace the tasks to their
// newest ones, since the tasks are replaced anyway.
func newestVersions(tx *store.Tx, namespace string, mounts []*warrenv1.SecretMount) error {
	for _, mount := range mounts {
		if !spec.RestartsOnChange(mount) {
			continue
		}
		secret, err := optional(tx.Secrets().ByName(namespace, mount.GetSecret()))
		if err != nil {
			return err
		}
		mount.Version = spec.NewestVersion(secret).GetNumber()
	}
	return nil
}

// touchUses writes a secret's uses as they are: who drops a version at the same
// moment depends on them, and looks again.
func touchUses(tx *store.Tx, namespace, secretID string) error {
	uses, err := optional(tx.Uses().Get(namespace, secretID))
	if err != nil {
		return err
	}
	if uses == nil {
		uses = &storepb.Uses{}
	}
	return tx.Uses().Put(uses, namespace, secretID)
}

// behindSecrets warns of versions that the service's tasks were to be replaced
// for, and came back from.
func behindSecrets(tx *store.ReadTx, service *warrenv1.Service) (warnings []string, err error) {
	for _, mount := range service.GetSpec().GetContainer().GetSecrets() {
		if !spec.RestartsOnChange(mount) {
			continue
		}
		secret, err := optional(tx.Secrets().ByName(service.GetMeta().GetNamespace(), mount.GetSecret()))
		if err != nil {
			return nil, err
		}
		newest := spec.NewestVersion(secret).GetNumber()
		if newest > mount.GetVersion() && newest == service.GetFollowed()[secret.GetMeta().GetId()] {
			warnings = append(warnings, fmt.Sprintf("its tasks keep version %d of secret %s: with version %d they did not come up; warren service update %s --force-recreate tries again",
				mount.GetVersion(), mount.GetSecret(), newest, service.GetMeta().GetName()))
		}
	}
	return warnings, nil
}
