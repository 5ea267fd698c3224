package spec

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Random is what an identifier needs of randomness. It is passed in because
// this package has no source of its own.
type Random [8]byte

// digits returns n characters of 0-9a-z.
func (r Random) digits(n int) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
	v := binary.BigEndian.Uint64(r[:])
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[v%36]
		v /= 36
	}
	return string(out)
}

// VolumeID returns vol-<name>-<6>.
func VolumeID(name string, r Random) string { return "vol-" + name + "-" + r.digits(6) }

// SnapshotID returns snap-<name>-<6>.
func SnapshotID(name string, r Random) string { return "snap-" + name + "-" + r.digits(6) }

// RestoreID returns restore-<10>.
func RestoreID(r Random) string { return "restore-" + r.digits(10) }

// SecretID returns secret-<name>-<6>.
func SecretID(name string, r Random) string { return "secret-" + name + "-" + r.digits(6) }

// ServiceID returns svc-<name>-<6>.
func ServiceID(name string, r Random) string { return "svc-" + name + "-" + r.digits(6) }

// NodeID returns node-<name>-<6>.
func NodeID(name string, r Random) string { return "node-" + name + "-" + r.digits(6) }

// ClientID returns client-<name>-<6>.
func ClientID(name string, r Random) string { return "client-" + name + "-" + r.digits(6) }

// TaskID returns <service>-<slot>-<10>. It is the container's ID as well:
// container runtimes take at most 76 characters and no two separators in a
// row, so a run of them in the service's name becomes one.
func TaskID(service string, slot uint32, r Random) string {
	for strings.Contains(service, "--") {
		service = strings.ReplaceAll(service, "--", "-")
	}
	return fmt.Sprintf("%s-%d-%s", service, slot, r.digits(10))
}

// TaskName returns <service>-task-<slot>; slots count from 1.
func TaskName(service string, slot uint32) string {
	return fmt.Sprintf("%s-task-%d", service, slot)
}
