// Package view holds what the command line shows of each noun: small structs
// whose JSON names are stable, with exact numbers, times in UTC and words
// instead of numbered states. Programs read them with -o json and -o yaml, and
// the tables and sheets for people are made of them too, so that both always
// agree.
package view

import (
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Meta is what every named object has.
type Meta struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels"`
	CreatedAt time.Time         `json:"created_at"`
}

func newMeta(m *warrenv1.Meta) Meta {
	return Meta{
		ID:        m.GetId(),
		Name:      m.GetName(),
		Namespace: m.GetNamespace(),
		Labels:    whole(m.GetLabels()),
		CreatedAt: moment(m.GetCreatedAt()),
	}
}

// Usage is one user of a volume or a secret.
type Usage struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	ID   string `json:"id"`
}

// String is a usage as inspect prints it: postgres (service).
func (u Usage) String() string { return u.Name + " (" + u.Kind + ")" }

func usages(list []*warrenv1.Usage) []Usage {
	return All(list, func(u *warrenv1.Usage) Usage {
		return Usage{Kind: u.GetKind(), Name: u.GetName(), ID: u.GetId()}
	})
}

// Strings prints a list of things that print themselves.
func Strings[T interface{ String() string }](list []T) []string {
	return All(list, T.String)
}

// All converts a list; without elements it is [] in JSON, never null.
func All[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}

// whole makes an absent map {} in JSON, never null.
func whole(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// moment is a time in UTC, and the zero time when it is not set.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
