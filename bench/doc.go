// Package bench measures Warren against its peers and against what the machine
// can do at all, everything in one run, so that the figures can be compared:
//
//   - a service with a volume and a secret, until its task runs, against the
//     same container through containerd alone;
//   - secrets created per second, against Docker Swarm and the disk;
//   - memory and size of the program.
//
// Peers take turns within every round, so that a change of the machine's mood
// meets all of them, and medians are compared. Each subject is a test of its own,
// which adds to the one report. `make bench` runs them; they need root, and the
// built binary.
package bench
