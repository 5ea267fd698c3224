package server

import (
	"fmt"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/spec"
)

// namespaceOf returns a namespace, and depends on it: one that is deleted
// meanwhile lets nothing in.
func namespaceOf(tx *store.Tx, name string) (*warrenv1.Namespace, error) {
	return readNamespace(tx.Namespaces().Objects, name)
}

func readNamespace(in store.Objects[warrenv1.Namespace, *warrenv1.Namespace], name string) (*warrenv1.Namespace, error) {
	if err := spec.ValidNamespace(name); err != nil {
		return nil, err
	}
	row, err := optional(in.ByName("", spec.Namespace(name)))
	switch {
	case err != nil || row != nil:
		return row, err
	case spec.Namespace(name) == spec.DefaultNamespace:
		return &warrenv1.Namespace{Meta: &warrenv1.Meta{Id: spec.DefaultNamespace, Name: spec.DefaultNamespace}}, nil
	}
	return nil, spec.Problemf(spec.NotFound, spec.KindNamespace, name, "namespace %q does not exist", name).
		WithHint("warren namespace create %s", name)
}

// settle is the last that a transaction does which made or changed something in
// a namespace: it refuses what is more than the namespace may have. It counts by
// a scan, which is sound because all who make something there write the crowd's
// row. In the default namespace without quotas nobody waits for anybody.
func settle(tx *store.Tx, name string) error {
	ns, err := namespaceOf(tx, name)
	if err != nil {
		return err
	}
	if spec.Namespace(name) == spec.DefaultNamespace && ns.GetVolumeQuota() == 0 && ns.GetSecretQuota() == 0 {
		return nil
	}
	crowd, err := optional(tx.Crowds().Get(ns.GetMeta().GetName()))
	if err != nil {
		return err
	}
	if err := tx.Crowds().Put(&storepb.Crowd{Made: crowd.GetMade() + 1}, ns.GetMeta().GetName()); err != nil {
		return err
	}
	use := useOf(&tx.ReadTx, ns.GetMeta().GetName())
	if quota := ns.GetSecretQuota(); quota > 0 && uint64(use.GetSecrets()) > quota {
		return overQuota(ns, fmt.Sprintf("%d secrets", use.GetSecrets()), fmt.Sprintf("%d", quota), "--secret-quota")
	}
	if quota := ns.GetVolumeQuota(); quota > 0 {
		if name := unsized(&tx.ReadTx, ns.GetMeta().GetName()); name != "" {
			return spec.Problemf(spec.Refused, spec.KindVolume, name,
				"volume %q needs a size: namespace %q has a quota for volumes", name, ns.GetMeta().GetName()).
				WithHint("warren volume create %s --size 1G -n %s", name, ns.GetMeta().GetName())
		}
		if use.GetVolumeBytes() > quota {
			return overQuota(ns, "volumes of "+spec.FormatSize(use.GetVolumeBytes()), spec.FormatSize(quota), "--volume-quota")
		}
	}
	return nil
}

func overQuota(ns *warrenv1.Namespace, have, quota, flag string) error {
	name := ns.GetMeta().GetName()
	return spec.Problemf(spec.Exhausted, spec.KindNamespace, name, "namespace %q would have %s; its quota is %s: nothing was changed", name, have, quota).
		WithHint("delete something, or: warren namespace update %s %s MORE", name, flag)
}

// useOf counts what is in a namespace.
func useOf(tx *store.ReadTx, namespace string) *warrenv1.NamespaceUse {
	use := &warrenv1.NamespaceUse{}
	for range tx.Secrets().Keys(namespace) {
		use.Secrets++
	}
	for range tx.Services().Keys(namespace) {
		use.Services++
	}
	for _, v := range tx.Volumes().List(namespace) {
		use.Volumes++
		use.VolumeBytes += v.GetSpec().GetSizeBytes()
		if v.GetDeletedAt() != nil {
			use.Trashed++
		}
	}
	return use
}

// unsized names a local volume without a limit, if there is one.
func unsized(tx *store.ReadTx, namespace string) string {
	for _, v := range tx.Volumes().List(namespace) {
		if v.GetSpec().GetDriver() == spec.DriverLocal && v.GetSpec().GetSizeBytes() == 0 && v.GetDeletedAt() == nil {
			return v.GetMeta().GetName()
		}
	}
	return ""
}

// thingsIn names what is in a namespace, "" if nothing.
func thingsIn(tx *store.ReadTx, namespace string) string {
	var services, volumes, trashed, secrets, in []string
	for _, s := range tx.Services().List(namespace) {
		services = append(services, s.GetMeta().GetName())
	}
	for _, v := range tx.Volumes().List(namespace) {
		if v.GetDeletedAt() != nil {
			trashed = append(trashed, v.GetMeta().GetName())
		} else {
			volumes = append(volumes, v.GetMeta().GetName())
		}
	}
	for key := range tx.Secrets().Keys(namespace) {
		if s, err := tx.Secrets().EvenAltered().Peek(key.Parts()...); err == nil {
			secrets = append(secrets, s.GetMeta().GetName())
		} else {
			secrets = append(secrets, key.ID())
		}
	}
	for _, kind := range []struct {
		noun, where string
		names       []string
	}{{"service", "", services}, {"volume", "", volumes}, {"volume", " in the trash", trashed}, {"secret", "", secrets}} {
		if len(kind.names) > 0 {
			in = append(in, count(kind.noun, kind.names)+kind.where)
		}
	}
	return strings.Join(in, ", ")
}
