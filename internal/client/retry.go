package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"strings"
)

// RequestIDKey is the metadata key of a mutating call's ID. A manager that has
// seen the ID answers with what the first call did instead of doing it again,
// which is what makes it safe to repeat a call whose outcome is unknown.
const RequestIDKey = "warren-request-id"

// staleKey is the metadata key by which a call is content with what the asked
// manager has, which may be behind.
const staleKey = "warren-stale"

// The pauses between repetitions grow.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

// patience is for how long a call is repeated while no manager answers.
type patience time.Duration

// unary repeats a call that met no manager. Every repetition carries the same
// request ID.
func (p patience) unary(ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return p.repeat(withRequestID(ctx, method), func(ctx context.Context) error {
		return invoke(ctx, method, req, reply, cc, opts...)
	})
}

// withRequestID gives a mutating call an ID, unless it has one.
func withRequestID(ctx context.Context, method string) context.Context {
	if headers, _ := metadata.FromOutgoingContext(ctx); !mutating(method) || len(headers.Get(RequestIDKey)) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, RequestIDKey, newRequestID(time.Now()))
}

// newRequestID starts with the time, so that a manager keeps requests of one
// time together; the rest nobody can guess.
func newRequestID(now time.Time) string {
	return fmt.Sprintf("%08x-%s", uint32(now.Unix()), rand.Text())
}

// repeat makes a call until a manager answers or patience ends.
func (p patience) repeat(ctx context.Context, call func(context.Context) error) error {
	var end time.Time
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := call(ctx)
		if end.IsZero() { // counts from the first loss: a call may wait for long before
			end = time.Now().Add(time.Duration(p))
		}
		if !unanswered(err) || time.Now().Add(pause).After(end) {
			return decode(err)
		}
		select {
		case <-ctx.Done():
			return decode(err)
		case <-time.After(pause):
		}
	}
}

// unanswered tells whether no manager has said anything to the matter.
func unanswered(err error) bool {
	if told := (*Error)(nil); errors.As(err, &told) {
		return told.Code == Unreachable
	}
	st, ok := status.FromError(err)
	return ok && st.Code() == codes.Unavailable && !answered(st)
}

// mutating reads the method's own declaration in the .proto.
func mutating(method string) bool {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	access, _ := proto.GetExtension(d.Options(), warrenv1.E_Access).(*warrenv1.Access)
	return access.GetMutating()
}

// stream decodes the errors of streams. They are not repeated: what was
// already sent or seen cannot be taken back.
func stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
	method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, decode(err)
	}
	return decodingStream{s}, nil
}

type decodingStream struct{ grpc.ClientStream }

func (s decodingStream) SendMsg(m any) error { return decode(s.ClientStream.SendMsg(m)) }
func (s decodingStream) RecvMsg(m any) error { return decode(s.ClientStream.RecvMsg(m)) }
