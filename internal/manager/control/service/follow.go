package service

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// newer is a version of a secret that the service's tasks are to be replaced
// for.
type newer struct {
	secretID string
	// mount is which of the container's secrets it is.
	mount    int
	from, to uint64
}

// lookForNewer finds the versions for which the tasks are to be replaced. One
// that they came back from is not among them.
func lookForNewer(tx *store.ReadTx, service *warrenv1.Service) (found []newer, err error) {
	for i, m := range service.GetSpec().GetContainer().GetSecrets() {
		if !spec.RestartsOnChange(m) {
			continue
		}
		secret, err := tx.Secrets().ByName(service.GetMeta().GetNamespace(), m.GetSecret())
		if unlessNotFound(err) != nil {
			return nil, err
		}
		id, newest := secret.GetMeta().GetId(), spec.NewestVersion(secret).GetNumber()
		if newest > m.GetVersion() && newest > service.GetFollowed()[id] {
			found = append(found, newer{id, i, m.GetVersion(), newest})
		}
	}
	return found, nil
}

// renewed are a task's pins, those that follow their secrets at the newest
// version; stale tells whether any was not.
func renewed(tx *store.ReadTx, t *warrenv1.Task) (pins []*warrenv1.SecretPin, stale bool, err error) {
	pins = append(pins, t.GetSecrets()...)
	for i, pin := range pins {
		m := mountOf(t.GetContainer(), pin)
		if !spec.Follows(m) {
			continue
		}
		secret, err := tx.Secrets().ByName(t.GetMeta().GetNamespace(), pin.GetSecret())
		if unlessNotFound(err) != nil {
			return nil, false, err
		}
		if secret.GetMeta().GetId() == pin.GetSecretId() && spec.NewestVersion(secret).GetNumber() > pin.GetVersion() {
			pins[i], stale = spec.SecretPin(m, secret), true
		}
	}
	return pins, stale, nil
}

func mountOf(c *warrenv1.ContainerSpec, pin *warrenv1.SecretPin) *warrenv1.SecretMount {
	for _, m := range c.GetSecrets() {
		if m.GetSecret() == pin.GetSecret() && spec.SecretTarget(m) == pin.GetTarget() {
			return m
		}
	}
	return nil
}

// renew gives a task the newest versions of the secrets that it follows. Its
// worker does the rest while the container runs.
func renew(tx *store.Tx, namespace, id string) (*warrenv1.Task, error) {
	task, err := tx.Tasks().Get(namespace, id)
	if err != nil {
		return nil, unlessNotFound(err)
	}
	if task.Secrets, _, err = renewed(&tx.ReadTx, task); err != nil {
		return nil, err
	}
	return task, tx.Tasks().Put(task)
}

// follow makes a revision of the service whose tasks have the newest versions
// of its secrets. They are replaced like those of any update, but a failure
// always leads back.
func follow(tx *store.Tx, w *world) error {
	service := w.service
	next := proto.CloneOf(spec.PresentRevision(service))
	var changes []string
	for _, n := range w.newer {
		m := next.GetSpec().GetContainer().GetSecrets()[n.mount]
		m.Version = n.to
		spec.Followed(service, n.secretID, n.to)
		changes = append(changes, fmt.Sprintf("secret %s %d → %d", m.GetSecret(), n.from, n.to))
	}
	next.SpecVersion, next.Change = 0, strings.Join(changes, ", ")
	if err := tx.KeepRevision(service); err != nil {
		return err
	}
	spec.Revise(service, next, w.now)
	service.Rollout++
	service.SecretRollout = service.GetRollout()
	if err := tx.Services().Put(service); err != nil {
		return err
	}
	m := service.GetMeta()
	return tx.Events().Append(&warrenv1.Event{
		Time: timestamppb.New(w.now), Kind: spec.KindService, Namespace: m.GetNamespace(), Name: m.GetName(), Id: m.GetId(),
		Reason: "updated", Message: next.GetChange(),
	})
}
