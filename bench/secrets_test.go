//go:build bench

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/client"
	"github.com/cuemby/warren/internal/seal"
	"golang.org/x/sys/unix"
)

const (
	// valueBytes is a secret's size, and that of one write to the disk.
	valueBytes = 1024
	many       = 32
	// of one client, and of many together, in one round
	secretsOfOne  = 100
	secretsOfMany = 640
	aimOfOne      = 1.5
	aimOfMany     = 3
)

// creator makes one secret; each client has its own.
type creator func(ctx context.Context, name string) error

// TestSecrets lets one and many clients create secrets in Warren and in Swarm,
// and a program alone write as much to the same disk. Swarm's API is spoken to
// over its Unix socket, so Warren's is too; over TLS, as from another machine,
// it is measured beside it.
func TestSecrets(t *testing.T) {
	n, s, r := startNode(t), startSwarm(t), result
	lanes := []*lane{
		{name: "Warren", server: n.process, dial: func() creator { return n.creator(t, n.dialAt(t, n.socket())) }},
		{name: "Warren over TLS", server: n.process, dial: func() creator { return n.creator(t, n.dial(t)) }},
		{name: "Swarm", server: s.process, dial: s.creator},
	}
	for _, l := range lanes {
		for range many {
			l.clients = append(l.clients, l.dial())
		}
	}
	var disk samples
	for i := range rounds {
		disk = append(disk, diskRate(t, n.dir))
		for k, l := range lanes {
			l.one = append(l.one, rate(t, l.clients[:1], secretsOfOne, fmt.Sprintf("one-%d-%d", k, i)))
		}
		for k, l := range lanes {
			before := l.server.worked(t)
			l.many = append(l.many, rate(t, l.clients, secretsOfMany, fmt.Sprintf("many-%d-%d", k, i)))
			l.work += l.server.worked(t) - before
		}
	}
	r.measurement("write and fdatasync of 1 KiB", "/s", disk)
	swarm := lanes[len(lanes)-1]
	for _, l := range lanes {
		r.measurement("secrets of 1 KiB, 1 client, "+l.name, "/s", l.one)
		r.measurement("secrets of 1 KiB, 32 clients, "+l.name, "/s", l.many)
		r.note("%s: %.2f ms of the server's processor time for a secret, 32 clients; %.2f x the disk's rate with 1, %.2f x with 32",
			l.name, l.work*1e3/(rounds*secretsOfMany), l.one.median()/disk.median(), l.many.median()/disk.median())
	}
	r.atLeast("secrets, 1 client, to Swarm", lanes[0].one.median()/swarm.one.median(), aimOfOne, "x")
	r.atLeast("secrets, 32 clients, to Swarm", lanes[0].many.median()/swarm.many.median(), aimOfMany, "x")
	r.note("secrets over TLS to Swarm over its socket: 1 client %.2f x, 32 clients %.2f x",
		lanes[1].one.median()/swarm.one.median(), lanes[1].many.median()/swarm.many.median())
	n.footprintAfter(r)
}

// lane is one way to create secrets.
type lane struct {
	name    string
	server  *process
	dial    func() creator
	clients []creator
	// rates of one client and of many, and the server's seconds for the latter
	one, many samples
	work      float64
}

// rate lets the clients share the work, and returns secrets per second.
func rate(t *testing.T, clients []creator, count int64, prefix string) float64 {
	t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, len(clients))
	began := time.Now()
	for i, create := range clients {
		all.Go(func() {
			for k := next.Add(1); k <= count && errs[i] == nil; k = next.Add(1) {
				errs[i] = create(t.Context(), fmt.Sprintf("%s-%d", prefix, k))
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return float64(count) / took.Seconds()
}

// creator seals random values and sends them, one a call.
func (n *node) creator(t *testing.T, c *client.Client) creator {
	t.Helper()
	envelopes, err := seal.NewEnvelopes(n.cluster.GetSealingKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(envelopes.Destroy)
	return func(ctx context.Context, name string) error {
		value := make([]byte, valueBytes)
		rand.Read(value)
		plaintext, err := seal.PlaintextFrom(value)
		if err != nil {
			return err
		}
		defer plaintext.Destroy()
		info := seal.ToClusterInfo(n.cluster.GetId(), "default", name, "")
		sealed, err := envelopes.Seal(info, plaintext)
		if err != nil {
			return err
		}
		_, err = c.Secrets.CreateSecret(ctx, &warrenv1.CreateSecretRequest{
			Name: name, Items: []*warrenv1.SealedItem{{Ciphertext: sealed}},
		})
		return err
	}
}

// diskRate is how many writes a second reach the disk, one after the other.
func diskRate(t *testing.T, dir string) float64 {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	piece := make([]byte, valueBytes)
	rand.Read(piece)
	began := time.Now()
	for range secretsOfOne {
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
	}
	return secretsOfOne / time.Since(began).Seconds()
}
