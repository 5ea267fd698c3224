package server

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// accessRules are the declared rules of all RPCs, by full method. What is not
// in it, or nil in it, is refused to everybody.
type accessRules map[string]*warrenv1.Access

func readAccessRules() accessRules {
	rules := accessRules{}
	protoregistry.GlobalFiles.RangeFilesByPackage("warren.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				name := "/" + string(service.FullName()) + "/" + string(method.Name())
				if proto.HasExtension(method.Options(), warrenv1.E_Access) {
					rules[name] = proto.GetExtension(method.Options(), warrenv1.E_Access).(*warrenv1.Access)
				}
			}
		}
		return true
	})
	return rules
}

// check refuses a caller whose roles the method's rule does not name. An admin
// may do whatever a reader may.
func (rules accessRules) check(method string, caller Caller) error {
	rule := rules[method]
	if rule == nil {
		return spec.Problemf(spec.Denied, "", "", "%s is open to nobody", method)
	}
	if slices.Contains(rule.GetRoles(), warrenv1.Role_ROLE_ANYONE) {
		return nil
	}
	for _, role := range caller.Roles {
		if slices.Contains(rule.GetRoles(), role) {
			return nil
		}
		if role == warrenv1.Role_ROLE_ADMIN && slices.Contains(rule.GetRoles(), warrenv1.Role_ROLE_READER) {
			return nil
		}
	}
	if len(caller.Roles) == 0 {
		return spec.Problemf(spec.Denied, "", caller.Name, "%s may not call %s", caller, method).
			WithHint("warren init --manager ADDRESS --token TOKEN gets a certificate")
	}
	return spec.Problemf(spec.Denied, "", caller.Name, "%s may not call %s", caller, method).
		WithHint("ask with a certificate that may, or as root on a manager")
}

// admit is what both interceptors do before anything else sees the call: find
// out who calls, check the rule, and tie the request's ID to its caller.
func (s *Server) admit(ctx context.Context, method string) (context.Context, error) {
	caller, err := s.identify(ctx)
	if err != nil {
		s.log.Warn("refused a call without identity", "method", method, "error", err)
		return nil, err
	}
	if err := s.rules.check(method, caller); err != nil {
		s.log.Warn("refused a call", "method", method, "caller", caller.String())
		return nil, err
	}
	ctx = context.WithValue(ctx, callerKey{}, caller)
	if s.rules[method].GetMutating() {
		return withRequestID(ctx, method, caller)
	}
	return ctx, nil
}

// UnaryInterceptor guards every unary call of the gRPC server, and hands those
// that only the leader may answer on to it.
func (s *Server) UnaryInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
		ctx, err = s.admit(ctx, info.FullMethod)
		switch {
		case err != nil:
		case s.staleWillDo(ctx, info.FullMethod):
			answer, err = handler(store.Stale(ctx), request)
		case s.elsewhere(info.FullMethod):
			answer, err = s.forward(ctx, info.FullMethod, request, handler)
		default:
			if err = s.checkOpen(info.FullMethod); err == nil {
				answer, err = handler(ctx, request)
			}
		}
		if err != nil {
			return nil, s.toStatus(info.FullMethod, err)
		}
		return answer, nil
	}
}

// StreamInterceptor does for streaming calls what UnaryInterceptor does for
// unary ones.
func (s *Server) StreamInterceptor() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := s.admit(stream.Context(), info.FullMethod)
		if err == nil {
			ctx, leave := s.presence.enter(ctx, info.FullMethod)
			defer leave()
			here := func() error {
				if err := s.checkOpen(info.FullMethod); err != nil {
					return err
				}
				return handler(srv, &admittedStream{ServerStream: stream, ctx: ctx})
			}
			if s.elsewhere(info.FullMethod) {
				err = s.forwardStream(ctx, stream, info.FullMethod, here)
			} else {
				err = here()
			}
			if err != nil {
				err = whyEnded(ctx, err)
			}
		}
		if err != nil {
			return s.toStatus(info.FullMethod, err)
		}
		return nil
	}
}

// admittedStream is a stream whose context knows the caller.
type admittedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *admittedStream) Context() context.Context { return s.ctx }
