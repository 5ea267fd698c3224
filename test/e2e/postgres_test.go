//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const password = "canary-7f3e9a1c55d04b"

// startPostgres runs the guide's example on n.
func startPostgres(n *node) {
	n.t.Helper()
	n.run("image", "load", artifact(n.t, "postgres.tar"))
	n.run("volume", "create", "db-data", "--driver", "local", "--label", "env=production", "--label", "app=postgres")
	n.feed(password, "secret", "create", "db-password", "--from-stdin")
	n.run("service", "create", "postgres", "--image", "postgres:15", "--replicas", "1",
		"--volume", "db-data:/var/lib/postgresql/data",
		"--secret", "db-password", "--env", "POSTGRES_PASSWORD_FILE=/run/secrets/db-password")
	n.running("postgres", 1)
}

// query runs SQL on the service's only task, over TCP with the password, and
// returns the first column of the first row. It waits for the database.
func query(n *node, sql string) string {
	n.t.Helper()
	var answer string
	n.eventually("PostgreSQL answers", func() error {
		tasks, err := n.tasks("postgres")
		if err != nil || len(tasks) != 1 || tasks[0].Address == "" {
			return fmt.Errorf("tasks %+v: %v", tasks, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		server := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: tasks[0].Address + ":5432", Path: "postgres", RawQuery: "sslmode=disable"}
		c, err := pgx.Connect(ctx, server.String())
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		if rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return err
			}
			answer = fmt.Sprint(values[0])
		}
		rows.Close()
		return rows.Err()
	})
	return answer
}

func wantRows(n *node, want string) {
	n.t.Helper()
	if got := query(n, "select count(*) from t"); got != want {
		n.t.Fatalf("%s rows, want %s", got, want)
	}
}

func TestRowsSurviveKills(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	startPostgres(n)
	query(n, "create table t as select generate_series(1, 1000) n")
	before := n.running("postgres", 1)[0]

	t.Log("the container is killed: it is started again in place")
	n.run("ctr", "--run-dir", n.runDir(), "tasks", "kill", "-s", "SIGKILL", before.ID)
	n.eventually("the container is started again", func() error {
		tasks, err := n.tasks("postgres")
		if err != nil || len(tasks) != 1 || tasks[0].Restarts == before.Restarts || tasks[0].State != "running" {
			return fmt.Errorf("%+v %v", tasks, err)
		}
		if tasks[0].ID != before.ID {
			t.Fatalf("task %s was replaced by %s; a crash is mended in place", before.ID, tasks[0].ID)
		}
		return nil
	})
	wantRows(n, "1000")

	t.Log("warren is killed: the container does not notice")
	pid := n.run("exec", "postgres-task-1", "--", "sh", "-c", "cat /proc/1/stat | cut -d' ' -f22")
	n.end(syscall.SIGKILL)
	n.start()
	wantRows(n, "1000")
	if after := n.run("exec", "postgres-task-1", "--", "sh", "-c", "cat /proc/1/stat | cut -d' ' -f22"); after != pid {
		t.Errorf("the container's first process started at %s, before the kill it was %s", after, pid)
	}

	t.Log("the service is deleted and made again: a new task has the rows")
	n.run("service", "delete", "postgres")
	n.run("service", "create", "postgres", "--image", "postgres:15", "--volume", "db-data:/var/lib/postgresql/data",
		"--secret", "db-password", "--env", "POSTGRES_PASSWORD_FILE=/run/secrets/db-password")
	wantRows(n, "1000")
}

func TestSecretIsNowhereOnDisk(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	startPostgres(n)
	query(n, "select 1")
	if got := n.run("exec", "postgres-task-1", "--", "cat", "/run/secrets/db-password"); got != password {
		t.Fatalf("the container reads %q", got)
	}
	n.end(syscall.SIGKILL)
	n.start()
	n.end(syscall.SIGTERM)
	n.scanForCanary(password)
	n.start()
}

// TestGuideBackupOfAVolume follows the guide's "Backing Up Volumes" and
// "Restore volume" to the letter, on this node's directories.
func TestGuideBackupOfAVolume(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	startPostgres(n)
	query(n, "create table t as select generate_series(1, 10) n")
	n.run("service", "stop", "postgres")
	n.eventually("the task is stopped", func() error {
		if tasks, err := n.tasks("postgres"); err != nil || len(tasks) != 0 {
			return fmt.Errorf("%+v %v", tasks, err)
		}
		return nil
	})
	volume := filepath.Join(n.lib(), "volumes/db-data")
	archive := filepath.Join(n.dir, "db-data-backup.tar.gz")
	command(t, "tar", "czf", archive, volume+"/")
	n.run("service", "start", "postgres")
	query(n, "insert into t select generate_series(11, 20)")
	wantRows(n, "20")

	// The worker is stopped and the data replaced under the still running
	// container, as the guide has it.
	n.end(syscall.SIGTERM)
	command(t, "rm", "-rf", volume+"/")
	command(t, "tar", "xzf", archive, "-C", "/")
	n.start()
	n.eventually("the task runs on the restored data", func() error {
		if events := n.run("events"); !strings.Contains(events, "recreated") {
			return fmt.Errorf("no event tells of it: %s", events)
		}
		return nil
	})
	wantRows(n, "10")
}

// TestGuideBackupOfSecrets follows the guide's "Backing Up Secrets" and
// "Restore secrets".
func TestGuideBackupOfSecrets(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	n.run("image", "load", artifact(t, "busybox.tar"))
	n.feed("old", "secret", "create", "kept", "--from-stdin")
	n.end(syscall.SIGTERM)
	database, backup := filepath.Join(n.lib(), "data/warren.db"), filepath.Join(n.dir, "warren.db.backup")
	command(t, "cp", database, backup)
	n.start()
	n.run("secret", "delete", "kept")
	n.feed("new", "secret", "create", "later", "--from-stdin")
	n.end(syscall.SIGTERM)
	command(t, "cp", backup, database)
	n.start()
	n.run("secret", "inspect", "kept")
	n.refused(4, "secret", "inspect", "later")
	n.run("service", "create", "reader", "--image", "busybox", "--secret", "kept", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("reader", 1)
	if got := n.run("exec", "reader-task-1", "--", "cat", "/run/secrets/kept"); got != "old" {
		t.Errorf("the restored secret reads %q", got)
	}
	// The restored state is the state from now on.
	n.end(syscall.SIGKILL)
	n.start()
	n.run("secret", "inspect", "kept")
	n.refused(4, "secret", "inspect", "later")
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
