package vault

import (
	"fmt"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/seal"
)

// What creating a secret, and giving it to a worker, cost besides the commit.
func BenchmarkAcceptAndDeliver(b *testing.B) {
	c := create(b, "c1")
	key, err := seal.GenerateEnvelopeKey()
	if err != nil {
		b.Fatal(err)
	}
	to := Recipient{NodeID: "node-1", TaskID: "task-1", SealingKey: key.PublicKey()}
	for _, size := range []int{1 << 10, 1 << 20} {
		p, err := seal.NewPlaintext(size)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Destroy()
		info := seal.ToClusterInfo("c1", password.Namespace, password.Name, "")
		sent, err := seal.SealTo(c.Cluster.GetSealingKey(), info, p)
		if err != nil {
			b.Fatal(err)
		}
		items := []*warrenv1.SealedItem{{Ciphertext: sent}}
		stored, _, err := c.Vault.Accept(password, items)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("accept-%dKB", size>>10), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := c.Vault.Accept(password, items); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("deliver-%dKB", size>>10), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Vault.Deliver(password, stored, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
