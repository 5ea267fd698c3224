package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/store"
	"github.com/cuemby/warren/internal/manager/store/storepb"
	"github.com/cuemby/warren/internal/testkit"
)

// BenchmarkSecrets creates secrets of 1 KiB as a server does, and sets the rate
// against what the disk can sync in the same run: run it with TMPDIR on the
// disk in question.
func BenchmarkSecrets(b *testing.B) {
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			s := testkit.NewStore(b)
			before := fsyncs(b)
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			began := time.Now()
			for range clients {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := createSecret(s, fmt.Sprintf("s%09d", i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			rate := float64(b.N) / time.Since(began).Seconds()
			b.StopTimer()
			disk := (before + fsyncs(b)) / 2
			b.ReportMetric(rate, "secrets/s")
			b.ReportMetric(disk, "fsyncs/s")
			b.ReportMetric(rate/disk, "secrets/fsync")
		})
	}
}

func createSecret(s *store.Store, name string) error {
	ctx := store.WithRequest(context.Background(), "request-"+name)
	return s.Update(ctx, func(tx *store.Tx) error {
		id := "secret-" + name
		box := &storepb.SealedBox{KeyId: "key-1", Iv: make([]byte, 16), Ciphertext: make([]byte, 1<<10)}
		return errors.Join(
			tx.Secrets().Create(&warrenv1.Secret{Meta: &warrenv1.Meta{Id: id, Name: name, Namespace: "default"}}),
			tx.SecretValues().Put(&storepb.SecretValue{SecretId: id, Version: 1, Items: []*storepb.SecretItem{{Box: box}}}, "default", id, store.Version(1)),
			tx.Uses().Put(&storepb.Uses{}, "default", id),
			tx.Done(id),
		)
	})
}

// fsyncs is how many appends of 1 KiB per second the disk makes durable.
func fsyncs(b *testing.B) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 1<<10)
	n, began := 0, time.Now()
	for ; time.Since(began) < time.Second; n++ {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

// BenchmarkList goes through ten thousand volumes.
func BenchmarkList(b *testing.B) {
	s := testkit.NewStore(b)
	for batch := range 10 {
		update(b, s, func(tx *store.Tx) error {
			for i := range 1000 {
				id := fmt.Sprintf("%d-%d", batch, i)
				if err := tx.Volumes().Create(volume("default", id, "vol-"+id)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for b.Loop() {
		rows := 0
		view(b, s, func(tx *store.ReadTx) error {
			for range tx.Volumes().List("default") {
				rows++
			}
			return nil
		})
		if rows != 10000 {
			b.Fatalf("%d rows", rows)
		}
	}
}
