package service

import (
	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// pin resolves what the task's container names: volumes to their IDs, secrets
// to their newest version, or the one that is named. What is not there keeps an empty ID, and the task
// is not placed; it is never given something else of that name later.
func pin(tx *store.ReadTx, task *warrenv1.Task) error {
	namespace := task.GetMeta().GetNamespace()
	for _, m := range task.GetContainer().GetVolumes() {
		if m.GetHostPath() != "" {
			continue // its node has it, or has not
		}
		name := spec.VolumeOfSlot(m.GetVolume(), task.GetSlot())
		volume, err := tx.Volumes().ByName(namespace, name)
		if unlessNotFound(err) != nil {
			return err
		}
		task.Volumes = append(task.Volumes, &warrenv1.VolumePin{
			VolumeId: volume.GetMeta().GetId(), Volume: name, Path: m.GetPath(),
			ReadOnly: m.GetReadOnly(), NoCopy: m.GetNoCopy(), Exclusive: m.GetExclusive(),
		})
	}
	for _, m := range task.GetContainer().GetSecrets() {
		secret, err := tx.Secrets().ByName(namespace, m.GetSecret())
		if unlessNotFound(err) != nil {
			return err
		}
		task.Secrets = append(task.Secrets, spec.SecretPin(m, secret))
	}
	return nil
}
