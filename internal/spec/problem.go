// Package spec holds the rules of Warren's nouns: which names and values are
// good, what an absent field means, how identifiers look, which state may
// follow which. It is pure: what it says depends on its arguments alone, so
// that the manager, the worker and the command line always agree.
//
// Everything it refuses, it refuses with a *Problem.
package spec

import "fmt"

// Code says what kind of problem it is. Each has one gRPC status code and one
// exit code of the command line.
type Code int

const (
	// Invalid is a request that can never succeed as it is.
	Invalid Code = iota + 1
	// NotFound is a request that names what does not exist.
	NotFound
	// Exists is a request to create what already exists.
	Exists
	// InUse is a deletion of what others need.
	InUse
	// Refused is a request that the object's present state rules out.
	Refused
	// Exhausted is a request for which there is no space left.
	Exhausted
	// Unavailable is a request that may succeed if tried again later.
	Unavailable
	// Denied is a request that the caller may not make.
	Denied
)

// Kinds of objects, as users read them.
const (
	KindVolume   = "volume"
	KindSnapshot = "snapshot"
	KindSecret   = "secret"
	KindService  = "service"
	KindTask     = "task"
	KindNode     = "node"
	KindClient   = "client"
	KindToken    = "join token"
	// KindMember is in the refusal of who is no member of the cluster any more.
	KindMember    = "member"
	KindNamespace = "namespace"
	KindImage     = "image"
	KindRegistry  = "registry"
	KindLabel     = "label"
)

// Problem is a refusal: what happened, to which object, and what to type next.
type Problem struct {
	Code Code
	// The object that it is about; both may be empty.
	Kind, Name string
	// What happened, as one sentence without a capital or a full stop.
	Message string
	// What to type or do next; may be empty.
	Hint string
}

// Error returns the message alone; the hint is shown apart from it.
func (p *Problem) Error() string { return p.Message }

// WithHint returns a copy of the problem with another hint.
func (p *Problem) WithHint(format string, args ...any) *Problem {
	c := *p
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Problemf makes a problem with the named object.
func Problemf(code Code, kind, name, format string, args ...any) *Problem {
	return &Problem{Code: code, Kind: kind, Name: name, Message: fmt.Sprintf(format, args...)}
}

func invalid(kind, name, format string, args ...any) *Problem {
	return Problemf(Invalid, kind, name, format, args...)
}
