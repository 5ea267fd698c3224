package consensus

import (
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

// Transport is how managers speak with one another.
type Transport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

const (
	// answerLimit is for how long a peer's answer is waited for; for a
	// snapshot's it is longer, by its size.
	answerLimit = 5 * time.Second
	// keptConnections is how many idle connections to one peer are kept.
	keptConnections = 3
)

// NewTransport speaks over connections that the layer makes and accepts. The
// layer's Addr is where the other managers reach this one.
func NewTransport(layer raft.StreamLayer, log *slog.Logger) Transport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: keptConnections, Timeout: answerLimit, Logger: raftLogger(log),
	})
}
