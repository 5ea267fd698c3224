package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
)

const (
	// callerHeader says for whom a manager speaks. From anybody else it is
	// refused.
	callerHeader = "warren-caller-bin"
	// ours is how the headers begin that are handed on with a call.
	ours = "warren-"
	// A call that was lost on its way to the leader is made again after this.
	forwardPause = 50 * time.Millisecond
)

// spokenFor is the caller for whom the peer speaks, if it does, else the peer.
func spokenFor(ctx context.Context, near Caller) (Caller, error) {
	values := metadata.ValueFromIncomingContext(ctx, callerHeader)
	if len(values) == 0 {
		return near, nil
	}
	if !near.has(warrenv1.Role_ROLE_MANAGER) || len(values) > 1 {
		return Caller{}, denied("%s may not speak for others", near)
	}
	var far Caller
	if err := json.Unmarshal([]byte(values[0]), &far); err != nil || far.Name == "" {
		return Caller{}, denied("%s speaks for nobody that is understood", near)
	}
	far.through = near.Name
	return far, nil
}

func (c Caller) has(role warrenv1.Role) bool {
	for _, r := range c.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// outgoing returns the context of a call that is handed on: in the caller's
// name, with the caller's own headers.
func outgoing(ctx, until context.Context) (context.Context, error) {
	caller, ok := CallerOf(ctx)
	if !ok {
		return nil, denied("a call of nobody is not handed on")
	}
	if caller.through != "" {
		return nil, noLeader("this manager, which was asked by " + caller.through + ", does not lead the cluster")
	}
	who, err := json.Marshal(caller)
	if err != nil {
		return nil, fmt.Errorf("hand a call on: %w", err)
	}
	headers := metadata.Pairs(callerHeader, string(who))
	incoming, _ := metadata.FromIncomingContext(ctx)
	for key, values := range incoming {
		if strings.HasPrefix(key, ours) && key != callerHeader {
			headers[key] = values
		}
	}
	return metadata.NewOutgoingContext(until, headers), nil
}

// forward hands a unary call on to the leader, or to the handler when this
// manager has come to lead meanwhile. A call that was lost together with its
// leader is made again at the next one when that cannot do it twice.
func (s *Server) forward(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
	repeatable := !s.rules[method].GetMutating() || requestID(ctx) != ""
	for end := time.Now().Add(leaderPatience); ; {
		l, here, err := s.findLeader(ctx)
		if here {
			if err := s.checkOpen(method); err != nil {
				return nil, err
			}
			return handler(ctx, request)
		}
		var answer any
		if err == nil {
			answer, err = l.ask(ctx, method, request)
			l.stop()
		}
		if err == nil || !repeatable || !lost(err) || ctx.Err() != nil || time.Now().After(end) {
			return answer, err
		}
		select {
		case <-time.After(forwardPause):
		case <-ctx.Done():
		}
	}
}

// ask makes a unary call at the leader.
func (l *leader) ask(ctx context.Context, method string, request any) (any, error) {
	out, err := outgoing(ctx, l.ctx)
	if err != nil {
		return nil, err
	}
	_, output, err := messages(method)
	if err != nil {
		return nil, err
	}
	answer := output.New().Interface()
	if err := l.Invoke(out, method, request, answer); err != nil {
		return nil, l.explain(ctx, err)
	}
	return answer, nil
}

// explain tells a call that ended with its leader from one that its caller
// ended.
func (l *leader) explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && l.ctx.Err() != nil {
		return noLeader("the cluster's leader has changed")
	}
	return err
}

// lost tells whether the leader was lost, or is none, rather than has answered.
func lost(err error) bool {
	var problem *spec.Problem
	if errors.As(err, &problem) {
		return problem.Code == spec.Unavailable && problem.Kind == ""
	}
	st := status.Convert(err)
	if st.Code() != codes.Unavailable {
		return false
	}
	for _, d := range st.Details() {
		if d, ok := d.(*warrenv1.ErrorDetail); ok && d.GetKind() != "" {
			return false
		}
	}
	return true
}

// forwardStream hands a streaming call on to the leader, and ends it when
// another one leads. It is not made again: what was already said cannot be.
func (s *Server) forwardStream(ctx context.Context, near grpc.ServerStream, method string, handler func() error) error {
	l, here, err := s.findLeader(ctx)
	if err != nil {
		return err
	}
	if here {
		return handler()
	}
	defer l.stop()
	return l.relay(ctx, near, method)
}

// relay joins the caller's stream with one of the leader's.
func (l *leader) relay(ctx context.Context, near grpc.ServerStream, method string) error {
	out, err := outgoing(ctx, l.ctx)
	if err != nil {
		return err
	}
	input, output, err := messages(method)
	if err != nil {
		return err
	}
	far, err := l.NewStream(out, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return l.explain(ctx, err)
	}
	// gRPC ends what receives from the caller with the call itself.
	go func() {
		if err := pass(near.RecvMsg, far.SendMsg, input); err == nil {
			_ = far.CloseSend()
		} else {
			l.cancel()
		}
	}()
	return l.explain(ctx, pass(far.RecvMsg, near.SendMsg, output))
}

// pass hands messages on until there are no more.
func pass(receive, send func(any) error, kind protoreflect.MessageType) error {
	for {
		m := kind.New().Interface()
		if err := receive(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := send(m); err != nil {
			return err
		}
	}
}

// messages are the types of what a method takes and gives.
func messages(method string) (input, output protoreflect.MessageType, err error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, nil, fmt.Errorf("hand %s on: %w", method, err)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, nil, fmt.Errorf("hand %s on: it is no method", method)
	}
	if input, err = protoregistry.GlobalTypes.FindMessageByName(descriptor.Input().FullName()); err == nil {
		output, err = protoregistry.GlobalTypes.FindMessageByName(descriptor.Output().FullName())
	}
	return input, output, err
}
