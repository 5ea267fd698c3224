package bridge

import (
	"log/slog"
	"testing"

	"github.com/cuemby/warren/internal/worker/network"
)

// What a task's network adds to its start.
func BenchmarkAttach(b *testing.B) {
	n, err := Open(Options{RunDir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	s := network.Sandbox{TaskID: "one", Mode: network.ModeBridge, Hostname: "one"}
	for b.Loop() {
		if _, err := n.Attach(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := n.Detach(b.Context(), "one"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	if err := n.Close(); err != nil {
		b.Fatal(err)
	}
}
