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
	return reaching{raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: keptConnections, Timeout: answerLimit, Logger: raftLogger(log),
	}), layer}
}

// reaching is a transport that can find out whether somebody is there.
type reaching struct {
	*raft.NetworkTransport
	layer raft.StreamLayer
}

// reachLimit is how long a manager may take to pick up.
const reachLimit = 2 * time.Second

// Reach tells whether a manager at the address speaks Raft with this one.
func (r reaching) Reach(address string) error {
	conn, err := r.layer.Dial(raft.ServerAddress(address), reachLimit)
	if err != nil {
		return err
	}
	return conn.Close()
}
