// Package peer is how managers speak with one another. There is one port: what
// is agreed upon goes over connections of a protocol of its own beside gRPC's,
// and TLS tells them apart before either has said a word. On both the other
// end is known by its certificate.
package peer
