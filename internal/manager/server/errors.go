package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/vault"
	"github.com/cuemby/warren/internal/seal"
	"github.com/cuemby/warren/internal/spec"
)

var grpcCodes = map[spec.Code]codes.Code{
	spec.Invalid:     codes.InvalidArgument,
	spec.NotFound:    codes.NotFound,
	spec.Exists:      codes.AlreadyExists,
	spec.InUse:       codes.FailedPrecondition,
	spec.Refused:     codes.FailedPrecondition,
	spec.Exhausted:   codes.ResourceExhausted,
	spec.Unavailable: codes.Unavailable,
	spec.Denied:      codes.PermissionDenied,
}

// toStatus turns a handler's error into what goes to the caller. An error that
// no room made for people is logged and sent as internal.
func (s *Server) toStatus(method string, err error) error {
	var problem *spec.Problem
	if errors.As(err, &problem) {
		return problemStatus(problem)
	}
	if storage := storeProblem(err); storage != nil {
		return problemStatus(storage)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the call was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call's time is over")
	}
	s.log.Error("a call failed", "method", method, "error", err)
	return status.Error(codes.Internal, err.Error())
}

// storeProblem says for people what the store's errors mean; nil for others.
func storeProblem(err error) *spec.Problem {
	switch {
	case errors.Is(err, store.ErrDiskFull):
		return spec.Problemf(spec.Exhausted, "", "", "the manager's disk is full: nothing was changed").
			WithHint("free space on the manager's disk; deleting still works")
	case errors.Is(err, store.ErrNotLeader):
		return spec.Problemf(spec.Unavailable, "", "", "this manager does not lead the cluster").
			WithHint("try again, or ask another manager")
	case errors.Is(err, store.ErrUnknown):
		return spec.Problemf(spec.Unavailable, "", "", "it is not known whether the change was made").
			WithHint("make the same request again: it is never done twice")
	case errors.Is(err, store.ErrConflict):
		return spec.Problemf(spec.Unavailable, "", "", "others changed the same things at the same time: nothing was changed").
			WithHint("try again")
	case errors.Is(err, store.ErrStaleKey):
		// Without a kind: the client's library asks again, and the value is then
		// sealed with the new key.
		return spec.Problemf(spec.Unavailable, "", "", "the cluster's keys are being rotated: nothing was changed").
			WithHint("try again")
	case errors.Is(err, vault.ErrSealed):
		return sealedProblem()
	case errors.Is(err, store.ErrAltered), errors.Is(err, seal.ErrAltered), errors.Is(err, seal.ErrUnknownKey):
		return spec.Problemf(spec.Refused, "", "", "%v", err).WithHint("restore a backup of the cluster; warren audit --verify tells more")
	case errors.Is(err, store.ErrTooLarge):
		return spec.Problemf(spec.Invalid, "", "", "the change is too large to be stored as one: nothing was changed").
			WithHint("make it smaller; large values belong into volumes or secrets")
	}
	return nil
}

func problemStatus(p *spec.Problem) error {
	code, known := grpcCodes[p.Code]
	if !known {
		code = codes.Internal
	}
	st := status.New(code, p.Message)
	if p.Kind == "" && p.Name == "" && p.Hint == "" {
		return st.Err()
	}
	detailed, err := st.WithDetails(&warrenv1.ErrorDetail{Kind: p.Kind, Name: p.Name, Hint: p.Hint})
	if err != nil {
		return st.Err()
	}
	return detailed.Err()
}
