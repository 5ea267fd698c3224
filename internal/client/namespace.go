package client

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// NamespaceVariable names the namespace that is meant where none is given.
const NamespaceVariable = "WARREN_NAMESPACE"

// inNamespace says a namespace in a request that says none: in its field of
// that name, and in the references and filters that it has.
func inNamespace(namespace string, request any) {
	m, ok := request.(proto.Message)
	if !ok || namespace == "" {
		return
	}
	sayNamespace(namespace, m.ProtoReflect())
}

func sayNamespace(namespace string, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
		case f.Kind() == protoreflect.StringKind && f.Name() == "namespace" && !f.IsList():
			if m.Get(f).String() == "" {
				m.Set(f, protoreflect.ValueOfString(namespace))
			}
		case f.Kind() != protoreflect.MessageKind || !hasNamespace(f.Message().FullName()):
		case f.IsList():
			for j := range m.Get(f).List().Len() {
				sayNamespace(namespace, m.Get(f).List().Get(j).Message())
			}
		case m.Has(f):
			sayNamespace(namespace, m.Mutable(f).Message())
		}
	}
}

var (
	refName    = (&warrenv1.Ref{}).ProtoReflect().Descriptor().FullName()
	filterName = (&warrenv1.Filter{}).ProtoReflect().Descriptor().FullName()
	execName   = (&warrenv1.ExecStart{}).ProtoReflect().Descriptor().FullName()
)

// hasNamespace tells which messages within a request name objects that are
// there already.
func hasNamespace(message protoreflect.FullName) bool {
	return message == refName || message == filterName || message == execName
}

func (o Options) namespaceUnary(ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	inNamespace(o.Namespace, req)
	return invoke(ctx, method, req, reply, cc, opts...)
}

func (o Options) namespaceStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
	method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	return namespaceStream{s, o.Namespace}, err
}

type namespaceStream struct {
	grpc.ClientStream
	namespace string
}

func (s namespaceStream) SendMsg(m any) error {
	inNamespace(s.namespace, m)
	return s.ClientStream.SendMsg(m)
}
