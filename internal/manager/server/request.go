package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/spec"
)

// RequestIDHeader carries a mutating call's ID. A client that does not know
// how its call ended makes it again with the same ID, and it is done once.
const RequestIDHeader = "warren-request-id"

const maxRequestID = 128

// withRequestID puts the request's ID where the store looks for it. The ID is
// tied to the method and the caller, so that nobody meets the result of
// another's request. A call without one is done whenever it is made.
func withRequestID(ctx context.Context, method string, caller Caller) (context.Context, error) {
	ids := metadata.ValueFromIncomingContext(ctx, RequestIDHeader)
	if len(ids) == 0 || ids[0] == "" {
		return ctx, nil
	}
	id := ids[0]
	if len(ids) > 1 || len(id) > maxRequestID {
		return nil, spec.Problemf(spec.Invalid, "", "", "the request must have one ID of at most %d bytes", maxRequestID)
	}
	h := sha256.New()
	for _, part := range []string{method, caller.String(), id} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	whole := requestTime(id) + "-" + hex.EncodeToString(h.Sum(nil))
	return context.WithValue(store.WithRequest(ctx, whole), requestKey{}, whole), nil
}

// requestTime is the time that an ID starts with, as its client saw it: it says
// where the request's row stands, so that those of one time are neighbours, and
// nothing more.
func requestTime(id string) string {
	const none = "00000000"
	stamp, _, ok := strings.Cut(id, "-")
	if _, err := hex.DecodeString(stamp); !ok || err != nil || len(stamp) != len(none) {
		return none
	}
	return strings.ToLower(stamp)
}

type requestKey struct{}

// requestID returns what withRequestID gave to the store, "" without a request.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// apart returns a context whose transactions are no part of the request: the
// steps of a call that may be repeated.
func apart(ctx context.Context) context.Context { return store.WithRequest(ctx, "") }
