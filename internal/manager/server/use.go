package server

import (
	"fmt"
	"slices"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// addUse notes that a service's spec names the object.
func addUse(tx *store.Tx, namespace, objectID, serviceID string) error {
	uses, err := optional(tx.Uses().Get(namespace, objectID))
	if err != nil {
		return err
	}
	if uses == nil {
		uses = &storepb.Uses{}
	}
	if slices.Contains(uses.ServiceIds, serviceID) {
		return nil
	}
	uses.ServiceIds = append(uses.ServiceIds, serviceID)
	return tx.Uses().Put(uses, namespace, objectID)
}

// dropUse notes that a service's spec names the object no more.
func dropUse(tx *store.Tx, namespace, objectID, serviceID string) error {
	uses, err := optional(tx.Uses().Get(namespace, objectID))
	if err != nil || uses == nil {
		return err
	}
	uses.ServiceIds = slices.DeleteFunc(uses.ServiceIds, func(id string) bool { return id == serviceID })
	if len(uses.ServiceIds) == 0 {
		return tx.Uses().Delete(namespace, objectID)
	}
	return tx.Uses().Put(uses, namespace, objectID)
}

// users returns the services whose specs name the object, by name. In an
// Update the transaction depends on all of it.
func users(tx *store.ReadTx, namespace, objectID string) ([]*warrenv1.Service, error) {
	uses, err := optional(tx.Uses().Get(namespace, objectID))
	if err != nil {
		return nil, err
	}
	var out []*warrenv1.Service
	for _, id := range uses.GetServiceIds() {
		service, err := optional(tx.Services().Get(namespace, id))
		if err != nil {
			return nil, err
		}
		if service != nil {
			out = append(out, service)
		}
	}
	slices.SortFunc(out, func(a, b *warrenv1.Service) int {
		return strings.Compare(a.GetMeta().GetName(), b.GetMeta().GetName())
	})
	return out, nil
}

func serviceUsages(services []*warrenv1.Service) []*warrenv1.Usage {
	var out []*warrenv1.Usage
	for _, s := range services {
		out = append(out, &warrenv1.Usage{Kind: spec.KindService, Name: s.GetMeta().GetName(), Id: s.GetMeta().GetId()})
	}
	return out
}

// inUse refuses a deletion and names the users.
func inUse(kind, name string, usages []*warrenv1.Usage) *spec.Problem {
	words := make([]string, len(usages))
	for i, u := range usages {
		words[i] = fmt.Sprintf("%s (%s)", u.GetName(), u.GetKind())
	}
	return spec.Problemf(spec.InUse, kind, name, "%s %q is in use by %s", kind, name, strings.Join(words, ", ")).
		WithHint("warren %s delete %s --force", kind, name)
}
