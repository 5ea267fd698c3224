package store

import (
	"fmt"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

// tableNames leads from the name of an object to its ID. Its rows are the
// guards that keep a name from being given twice.
const tableNames Table = "name"

// named is what objects with a Meta have in common.
type named[T any, P Message[T]] interface {
	Message[T]
	GetMeta() *warrenv1.Meta
}

// objectKind is a kind whose rows are found by name too.
type objectKind[T any, P named[T, P]] struct {
	kind[T, P]
	// noun is what a person calls it.
	noun string
	// global: its names belong to no namespace.
	global bool
	// successive: a new object takes the name over from the one that has it.
	successive bool
}

// Objects reads a table of named objects.
type Objects[T any, P named[T, P]] struct {
	Rows[T, P]
	object *objectKind[T, P]
}

// ObjectsTx reads and writes a table of named objects.
type ObjectsTx[T any, P named[T, P]] struct {
	Objects[T, P]
	rows RowsTx[T, P]
}

func objects[T any, P named[T, P]](tx *ReadTx, k *objectKind[T, P]) Objects[T, P] {
	return Objects[T, P]{rows(tx, &k.kind), k}
}

func objectsTx[T any, P named[T, P]](tx *Tx, k *objectKind[T, P]) ObjectsTx[T, P] {
	return ObjectsTx[T, P]{objects(&tx.ReadTx, k), rowsTx(tx, &k.kind)}
}

// EvenAltered reads rows that nobody vouches for too: to show them, or to
// delete them.
func (o Objects[T, P]) EvenAltered() Objects[T, P] {
	o.unchecked = true
	return o
}

// ByName returns the object of that name; an empty namespace is the default
// one. In an Update the transaction depends on the name and on the object.
func (o Objects[T, P]) ByName(namespace, name string) (P, error) {
	id, err := o.idOf(namespace, name)
	if err != nil {
		return nil, err
	}
	row, err := o.Get(o.object.parts(namespace, id)...)
	if err == nil && o.object.witnessed && !o.unchecked && row.GetMeta().GetName() != name {
		// The row is vouched for; what leads to it is not.
		return nil, fmt.Errorf("%s %q: %w", o.object.noun, name, ErrAltered)
	}
	return row, err
}

// Lookup returns the object that a person means: by name first, then by whole
// ID. In an Update the transaction depends on it, or on its absence.
func (o Objects[T, P]) Lookup(ref *warrenv1.Ref) (P, error) {
	row, err := o.ByName(ref.GetNamespace(), ref.GetNameOrId())
	if err == nil || ignoreNotFound(err) != nil {
		return row, err
	}
	row, err = o.Get(o.object.parts(ref.GetNamespace(), ref.GetNameOrId())...)
	if ignoreNotFound(err) == nil && err != nil {
		return nil, o.object.notFound(ref.GetNameOrId())
	}
	return row, err
}

func (o Objects[T, P]) idOf(namespace, name string) (string, error) {
	key, err := o.object.nameKey(namespace, name)
	if err != nil {
		return "", err
	}
	id := o.tx.get(key, true)
	if id == nil {
		return "", o.object.notFound(name)
	}
	return string(id), nil
}

// Create writes a new object and takes its name. ErrExists when the name or the
// ID is taken; then nothing of it is written.
func (o ObjectsTx[T, P]) Create(row P) error {
	meta := row.GetMeta()
	key, err := o.object.nameKey(meta.GetNamespace(), meta.GetName())
	if err != nil {
		return err
	}
	if holder := o.tx.get(key, true); holder != nil && !o.object.successive {
		return fmt.Errorf("%s %q: %w", o.object.noun, meta.GetName(), ErrExists)
	}
	parts := o.object.parts(meta.GetNamespace(), meta.GetId())
	switch _, err := o.Get(parts...); {
	case err == nil:
		return fmt.Errorf("%s %q: %w", o.object.noun, meta.GetId(), ErrExists)
	case ignoreNotFound(err) != nil:
		return err
	}
	if err := o.rows.Put(row, parts...); err != nil {
		return err
	}
	o.rows.tx.put(key, []byte(meta.GetId()))
	return nil
}

// TakeName gives an object the name that it has among its like: that of a
// successive kind may have lost it to a newer one.
func (o ObjectsTx[T, P]) TakeName(row P) error {
	key, err := o.object.nameKey(row.GetMeta().GetNamespace(), row.GetMeta().GetName())
	if err != nil {
		return err
	}
	o.rows.tx.put(key, []byte(row.GetMeta().GetId()))
	return nil
}

// FreeName gives up the object's name while the object stays.
func (o ObjectsTx[T, P]) FreeName(row P) error {
	key, err := o.object.nameKey(row.GetMeta().GetNamespace(), row.GetMeta().GetName())
	if err != nil {
		return err
	}
	if string(o.tx.get(key, true)) == row.GetMeta().GetId() {
		o.rows.tx.delete(key)
	}
	return nil
}

// Put writes an object that exists, under the name it has.
func (o ObjectsTx[T, P]) Put(row P) error {
	return o.rows.Put(row, o.object.parts(row.GetMeta().GetNamespace(), row.GetMeta().GetId())...)
}

// Delete removes an object and frees its name, if it is the one that has it.
func (o ObjectsTx[T, P]) Delete(row P) error {
	if err := o.FreeName(row); err != nil {
		return err
	}
	meta := row.GetMeta()
	return o.rows.Delete(o.object.parts(meta.GetNamespace(), meta.GetId())...)
}

func (k *objectKind[T, P]) parts(namespace, id string) []string {
	if k.global {
		return []string{id}
	}
	return []string{orDefault(namespace), id}
}

func (k *objectKind[T, P]) nameKey(namespace, name string) (string, error) {
	if k.global {
		return rowKey(tableNames, []string{string(k.table), name})
	}
	return rowKey(tableNames, []string{string(k.table), orDefault(namespace), name})
}

func (k *objectKind[T, P]) notFound(name string) error {
	return fmt.Errorf("%s %q: %w", k.noun, name, ErrNotFound)
}

func orDefault(namespace string) string {
	if namespace == "" {
		return spec.DefaultNamespace
	}
	return namespace
}
