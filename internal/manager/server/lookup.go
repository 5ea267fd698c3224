package server

import (
	"errors"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// table is what looking up and creating needs of a table of named objects.
type table[P any] interface {
	Lookup(*warrenv1.Ref) (P, error)
	ByName(namespace, name string) (P, error)
}

// find returns the object that a person means.
func find[P any](in table[P], kind string, ref *warrenv1.Ref) (P, error) {
	var none P
	if ref.GetNameOrId() == "" {
		return none, spec.Problemf(spec.Invalid, kind, "", "no %s is named", kind)
	}
	if err := spec.ValidNamespace(ref.GetNamespace()); err != nil {
		return none, err
	}
	row, err := in.Lookup(ref)
	switch {
	case errors.Is(err, store.ErrAltered):
		return none, altered(kind, ref.GetNameOrId())
	case errors.Is(err, store.ErrNotFound):
		return none, notFound(kind, ref.GetNameOrId())
	}
	return row, err
}

// altered refuses an object whose row in the database is not what was written.
func altered(kind, name string) *spec.Problem {
	return spec.Problemf(spec.Refused, kind, name, "%s %q is not used: its record was altered in the database, or an old state of it was put back", kind, name).
		WithHint("restore a backup, or make it anew after: warren %s delete %s --force", kind, name)
}

func notFound(kind, name string) *spec.Problem {
	return spec.Problemf(spec.NotFound, kind, name, "%s %q does not exist", kind, name).
		WithHint("warren %s list", kind)
}

// free refuses a name that cannot be given to a new object with that ID: one
// that is taken, or one that reads as the ID of another object. It returns the
// object that has the name, if there is one.
func free[P any](in table[P], kind, namespace, name, id string) (holder P, err error) {
	holder, err = in.ByName(namespace, name)
	if err == nil {
		return holder, spec.Problemf(spec.Exists, kind, name, "%s %q already exists", kind, name).
			WithHint("warren %s inspect %s", kind, name)
	}
	for _, taken := range []string{name, id} {
		if !errors.Is(err, store.ErrNotFound) {
			return holder, err
		}
		if _, err = in.Lookup(&warrenv1.Ref{Namespace: namespace, NameOrId: taken}); err == nil {
			return holder, spec.Problemf(spec.Exists, kind, name, "%q already means another %s", taken, kind).
				WithHint("choose another name")
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return holder, err
}

// optional turns "there is none" into nil.
func optional[P any](row P, err error) (P, error) {
	if errors.Is(err, store.ErrNotFound) {
		var none P
		return none, nil
	}
	return row, err
}

// checkFilter checks a list's filter and returns its namespace.
func checkFilter(f *warrenv1.Filter) (namespace string, err error) {
	if err := spec.ValidNamespace(f.GetNamespace()); err != nil {
		return "", err
	}
	if err := spec.LabelFilters(f.GetLabels()); err != nil {
		return "", err
	}
	return spec.Namespace(f.GetNamespace()), nil
}

// nodeName returns the name of a node, and its ID when the row is gone.
func nodeName(tx *store.ReadTx, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	node, err := optional(tx.Nodes().Peek(id))
	if err != nil || node == nil {
		return id, err
	}
	return node.GetMeta().GetName(), nil
}
