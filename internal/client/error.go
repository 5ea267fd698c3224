package client

import (
	"context"
	"errors"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Code says what kind of failure an error is; programs decide by it.
type Code int

const (
	// Failed is whatever none of the others is.
	Failed Code = iota
	// Invalid means that the request can never succeed as it is.
	Invalid
	// Unreachable means that no manager answered.
	Unreachable
	// NotFound means that the named object does not exist.
	NotFound
	// Exists means that the name is taken.
	Exists
	// Denied means that the caller may not do this, or could not prove who
	// it is.
	Denied
)

// Error is what went wrong, to which object, and what to type next.
type Error struct {
	Code Code
	// Kind and Name say which object; they may be empty.
	Kind, Name string
	// Message is a sentence without its full stop.
	Message string
	// Hint is a sentence or a command line; it may be empty.
	Hint string

	cause error
}

// Error is the message alone; the hint is shown apart.
func (e *Error) Error() string { return e.Message }

// Unwrap gives what the error was made of.
func (e *Error) Unwrap() error { return e.cause }

// decode makes an *Error of what gRPC returned. Errors that are no answer of a
// manager, such as io.EOF, pass as they are.
func decode(err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	if already := (*Error)(nil); errors.As(err, &already) {
		return already
	}
	e := &Error{Code: codeOf(st), Message: st.Message(), cause: err}
	switch st.Code() {
	case codes.Canceled:
		e.cause = context.Canceled
	case codes.DeadlineExceeded:
		e.cause = context.DeadlineExceeded
	case codes.Unimplemented:
		e.Hint = "the manager runs another version of Warren: compare `warren version` with `warren cluster info`"
	}
	if d := detail(st); d != nil {
		e.Kind, e.Name, e.Hint = d.Kind, d.Name, d.Hint
	} else if e.Code == Unreachable {
		e.Message = "the manager stopped answering: " + plain(st.Message())
		e.Hint = "the same command again, once a manager answers; what it was asked to do may have been done"
	}
	return e
}

func codeOf(st *status.Status) Code {
	switch st.Code() {
	case codes.InvalidArgument:
		return Invalid
	case codes.NotFound:
		return NotFound
	case codes.AlreadyExists:
		return Exists
	case codes.PermissionDenied, codes.Unauthenticated:
		return Denied
	case codes.Unavailable:
		if answered(st) {
			return Failed
		}
		return Unreachable
	}
	return Failed
}

// answered tells a manager's own "not available" from a lost connection: only
// the manager says what it is about.
func answered(st *status.Status) bool {
	d := detail(st)
	return d != nil && d.Kind != ""
}

func detail(st *status.Status) *warrenv1.ErrorDetail {
	for _, d := range st.Details() {
		if d, ok := d.(*warrenv1.ErrorDetail); ok {
			return d
		}
	}
	return nil
}

// plain takes gRPC's wrapping off the reason of a lost connection.
func plain(message string) string {
	if i := strings.LastIndex(message, "desc = "); i >= 0 {
		message = strings.Trim(message[i+len("desc = "):], `"`)
	}
	return strings.TrimPrefix(message, "transport: ")
}
