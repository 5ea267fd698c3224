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
// and a program alone write as much to the same disk.
func TestSecrets(t *testing.T) {
	n, s, r := startNode(t), startSwarm(t), result
	warren, docker := make([]creator, many), make([]creator, many)
	for i := range many {
		warren[i], docker[i] = n.creator(t, n.dial(t)), s.creator()
	}
	var disk, warrenOne, warrenMany, swarmOne, swarmMany samples
	var warrenWork, swarmWork float64
	for i := range rounds {
		disk = append(disk, diskRate(t, n.dir))
		warrenOne = append(warrenOne, rate(t, warren[:1], secretsOfOne, fmt.Sprintf("w1-%d", i)))
		swarmOne = append(swarmOne, rate(t, docker[:1], secretsOfOne, fmt.Sprintf("s1-%d", i)))
		before := n.worked(t)
		warrenMany = append(warrenMany, rate(t, warren, secretsOfMany, fmt.Sprintf("w%d-%d", many, i)))
		warrenWork += n.worked(t) - before
		before = s.worked(t)
		swarmMany = append(swarmMany, rate(t, docker, secretsOfMany, fmt.Sprintf("s%d-%d", many, i)))
		swarmWork += s.worked(t) - before
	}
	r.measurement("write and fdatasync of 1 KiB", "/s", disk)
	r.measurement("secrets of 1 KiB, 1 client, Warren", "/s", warrenOne)
	r.measurement("secrets of 1 KiB, 1 client, Swarm", "/s", swarmOne)
	r.measurement("secrets of 1 KiB, 32 clients, Warren", "/s", warrenMany)
	r.measurement("secrets of 1 KiB, 32 clients, Swarm", "/s", swarmMany)
	r.atLeast("secrets, 1 client, to Swarm", warrenOne.median()/swarmOne.median(), aimOfOne, "x")
	r.atLeast("secrets, 32 clients, to Swarm", warrenMany.median()/swarmMany.median(), aimOfMany, "x")
	r.note("the servers' processor time for a secret, 32 clients: Warren %.2f ms, Swarm %.2f ms",
		warrenWork*1e3/(rounds*secretsOfMany), swarmWork*1e3/(rounds*secretsOfMany))
	r.note("secrets to the disk's own rate: 1 client %.2f x, 32 clients %.2f x",
		warrenOne.median()/disk.median(), warrenMany.median()/disk.median())
	n.footprintAfter(r)
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
