package server

import (
	"context"
	"errors"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

type namespaces struct {
	warrenv1.UnimplementedNamespacesServer
	*Server
}

// CreateNamespace commits a new namespace.
func (n *namespaces) CreateNamespace(ctx context.Context, r *warrenv1.CreateNamespaceRequest) (*warrenv1.Namespace, error) {
	if err := errors.Join(spec.ValidName(spec.KindNamespace, r.GetName()), spec.Labels(r.GetLabels())); err != nil {
		return nil, err
	}
	row := n.newNamespace(r.GetName())
	row.Meta.Labels, row.VolumeQuota, row.SecretQuota = r.GetLabels(), r.GetVolumeQuota(), r.GetSecretQuota()
	_, err := n.commit(ctx, func(tx *store.Tx) (string, error) {
		_, err := namespaceOf(tx, r.GetName())
		if err == nil {
			return "", spec.Problemf(spec.Exists, spec.KindNamespace, r.GetName(), "namespace %q already exists", r.GetName()).
				WithHint("warren namespace inspect %s", r.GetName())
		}
		var missing *spec.Problem
		if !errors.As(err, &missing) || missing.Code != spec.NotFound {
			return "", err
		}
		return r.GetName(), errors.Join(tx.Namespaces().Create(row), n.told(ctx, tx, "created", spec.KindNamespace, row.GetMeta()))
	})
	if err != nil {
		return nil, err
	}
	return n.GetNamespace(ctx, &warrenv1.GetNamespaceRequest{Name: r.GetName()})
}

func (n *namespaces) newNamespace(name string) *warrenv1.Namespace {
	return &warrenv1.Namespace{Meta: &warrenv1.Meta{Id: name, Name: name, CreatedAt: n.now(), UpdatedAt: n.now()}}
}

// GetNamespace returns a namespace and what is in it.
func (n *namespaces) GetNamespace(ctx context.Context, r *warrenv1.GetNamespaceRequest) (row *warrenv1.Namespace, err error) {
	err = n.store.View(ctx, func(tx *store.ReadTx) error {
		if row, err = readNamespace(tx.Namespaces(), r.GetName()); err != nil {
			return err
		}
		row.Use = useOf(tx, r.GetName())
		return nil
	})
	return row, err
}

// ListNamespaces lists the namespaces; the default one is always among them.
func (n *namespaces) ListNamespaces(ctx context.Context, r *warrenv1.ListNamespacesRequest) (*warrenv1.ListNamespacesResponse, error) {
	if err := spec.LabelFilters(r.GetLabels()); err != nil {
		return nil, err
	}
	out := &warrenv1.ListNamespacesResponse{}
	err := n.store.View(ctx, func(tx *store.ReadTx) error {
		all, err := allNamespaces(tx)
		for _, row := range all {
			if spec.MatchLabels(row.GetMeta().GetLabels(), r.GetLabels()) {
				row.Use = useOf(tx, row.GetMeta().GetName())
				out.Namespaces = append(out.Namespaces, row)
			}
		}
		return err
	})
	return out, err
}

func allNamespaces(tx *store.ReadTx) (all []*warrenv1.Namespace, err error) {
	first, err := readNamespace(tx.Namespaces(), spec.DefaultNamespace)
	all = append(all, first)
	for _, row := range tx.Namespaces().List() {
		if row.GetMeta().GetName() != spec.DefaultNamespace {
			all = append(all, row)
		}
	}
	return all, err
}

// UpdateNamespace changes quotas and labels. A quota holds from this moment on,
// so it is checked against what is there in this moment.
func (n *namespaces) UpdateNamespace(ctx context.Context, r *warrenv1.UpdateNamespaceRequest) (*warrenv1.Namespace, error) {
	_, err := n.commit(ctx, func(tx *store.Tx) (string, error) {
		row, err := namespaceOf(tx, r.GetName())
		if err != nil {
			return "", err
		}
		isNew := row.GetMeta().GetCreatedAt() == nil
		if isNew { // the default one, of which nothing was said yet
			row = n.newNamespace(r.GetName())
		}
		row.Meta.UpdatedAt = n.now()
		if err := relabel(spec.KindNamespace, row.Meta, r.GetSetLabels(), r.GetRemoveLabels()); err != nil {
			return "", err
		}
		if r.VolumeQuota != nil {
			row.VolumeQuota = r.GetVolumeQuota()
		}
		if r.SecretQuota != nil {
			row.SecretQuota = r.GetSecretQuota()
		}
		if isNew {
			err = tx.Namespaces().Create(row)
		} else {
			err = tx.Namespaces().Put(row)
		}
		if err == nil {
			err = settle(tx, r.GetName())
		}
		return r.GetName(), errors.Join(err, n.told(ctx, tx, "updated", spec.KindNamespace, row.GetMeta()))
	})
	if err != nil {
		return nil, err
	}
	return n.GetNamespace(ctx, &warrenv1.GetNamespaceRequest{Name: r.GetName()})
}

// DeleteNamespace removes a namespace that nothing is in.
func (n *namespaces) DeleteNamespace(ctx context.Context, r *warrenv1.DeleteNamespaceRequest) (row *warrenv1.Namespace, err error) {
	_, err = n.commit(ctx, func(tx *store.Tx) (string, error) {
		if row, err = namespaceOf(tx, r.GetName()); err != nil {
			return "", err
		}
		if r.GetName() == spec.DefaultNamespace {
			return "", spec.Problemf(spec.Refused, spec.KindNamespace, r.GetName(), "the default namespace cannot be deleted")
		}
		if in := thingsIn(&tx.ReadTx, r.GetName()); in != "" {
			return "", spec.Problemf(spec.InUse, spec.KindNamespace, r.GetName(), "namespace %q is not empty: it has %s", r.GetName(), in).
				WithHint("delete them first, with -n %s", r.GetName())
		}
		tx.Reclaim()
		// Whoever made something in it since writes this row too.
		if _, err := optional(tx.Crowds().Get(r.GetName())); err != nil {
			return "", err
		}
		return r.GetName(), errors.Join(tx.Namespaces().Delete(row), tx.Crowds().Delete(r.GetName()),
			n.told(ctx, tx, "deleted", spec.KindNamespace, row.GetMeta()))
	})
	if err == nil && row == nil { // the request was done before
		row = &warrenv1.Namespace{Meta: &warrenv1.Meta{Id: r.GetName(), Name: r.GetName()}}
	}
	return row, err
}
