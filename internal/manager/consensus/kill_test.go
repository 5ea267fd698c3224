package consensus

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// childDir makes the test binary a manager that writes until it is killed,
// printing each key once it is acknowledged.
const childDir = "WARREN_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeUntilKilled(dir)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait for the disk, not for a processor
		panic(err)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(dir string) {
	o := options(dir)
	o.SnapshotEvery = 64 // so that kills hit snapshots too
	c, err := Open(o)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	if done, _ := c.Bootstrapped(); !done {
		_ = c.Bootstrap()
	}
	if err := c.WaitLeading(context.Background()); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("leading")
	var out sync.Mutex
	for client := range 8 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("secret/%d-%d-%d", os.Getpid(), client, i)
				if _, err := c.Propose(context.Background(), put(key, key)); err != nil {
					continue
				}
				out.Lock()
				fmt.Println("ack", key)
				out.Unlock()
			}
		}()
	}
	select {}
}

func TestKillsLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kills := 20
	if testing.Short() {
		kills = 3
	}
	var acknowledged []string
	for range kills {
		acknowledged = append(acknowledged, runAndKill(t, dir)...)
	}
	if len(acknowledged) < kills {
		t.Fatalf("only %d writes were acknowledged", len(acknowledged))
	}
	c := start(t, options(dir))
	s, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, key := range acknowledged {
		if row, _ := s.Get([]byte(key)); string(row) != key {
			t.Errorf("%s was acknowledged and is lost", key)
		}
	}
	t.Logf("%d writes acknowledged over %d kills", len(acknowledged), kills)
}

// runAndKill lets a manager write, kills it after a random number of writes,
// and returns what it acknowledged.
func runAndKill(t *testing.T, dir string) (acknowledged []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	enough := rand.IntN(150)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if message, ok := strings.CutPrefix(line, "error "); ok {
			t.Fatal(message)
		}
		if key, ok := strings.CutPrefix(line, "ack "); ok {
			acknowledged = append(acknowledged, key)
		}
		if len(acknowledged) == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cmd.Wait(); ctx.Err() != nil {
		t.Fatal("the manager did not write")
	}
	return acknowledged
}
