//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// Secrets leave the cluster sealed, come back into another one as they were,
// and the audit log tells of all of it.
func TestSecretsAreExportedImportedAndAudited(t *testing.T) {
	t.Parallel()
	n := startBusybox(t)
	value := "binary\x00\xff\nvalue-canary"
	n.feed(value, "secret", "create", "db-password", "--from-stdin", "--label", "app=db")
	n.feed("second", "secret", "update", "db-password", "--from-stdin")
	n.run("secret", "create", "tls", "--from-literal", "crt=c", "--from-literal", "key=k")
	if err := os.WriteFile(filepath.Join(n.dir, "pass"), []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, pass := filepath.Join(n.dir, "secrets-backup.json"), filepath.Join(n.dir, "pass")
	if out := n.run("secret", "export", "--all", "--output", file, "--passphrase-file", pass); !strings.Contains(out, "2 secrets (3 versions) exported") {
		t.Errorf("export says %s", out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key, toKey := filepath.Join(n.dir, "key"), filepath.Join(n.dir, "to-key.json")
	if err := os.WriteFile(key, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.run("secret", "export", "db-password", "--output", toKey, "--recipient", identity.Recipient().String())

	// A wrong key, a name that is taken: nothing happens.
	wrong := filepath.Join(n.dir, "wrong")
	if err := os.WriteFile(wrong, []byte("battery horse"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := n.refused(1, "secret", "import", "--file", file, "--passphrase-file", wrong); !strings.Contains(text, "the passphrase is wrong") {
		t.Errorf("a wrong passphrase: %s", text)
	}
	if text := n.refused(5, "secret", "import", "--file", toKey, "--identity", key); !strings.Contains(text, "secret db-password exists already: nothing was imported") {
		t.Errorf("a name that is taken: %s", text)
	}
	n.run("secret", "delete", "db-password")
	if out := n.run("secret", "import", "--file", file, "--passphrase-file", pass, "--on-conflict", "skip"); !strings.Contains(out, "Secret db-password created: version 2") || !strings.Contains(out, "Secret tls skipped") {
		t.Errorf("import says %s", out)
	}
	if out := n.run("secret", "import", "--file", toKey, "--identity", key, "--on-conflict", "update"); !strings.Contains(out, "db-password unchanged") {
		t.Errorf("import says %s", out)
	}
	n.run("secret", "rollback", "db-password", "--to", "1")
	n.run("service", "create", "reader", "--image", "busybox", "--secret", "db-password", "--stop-timeout", "1s", "--", "sleep", "1000")
	n.running("reader", 1)
	if out := n.run("exec", "reader-task-1", "--", "cat", "/run/secrets/db-password"); out != value {
		t.Errorf("the value came back as %q", out)
	}

	audit := n.run("audit")
	for _, want := range []string{
		"created secret db-password, version 1\n", "updated secret db-password, version 2\n", "exported secret db-password, version 1, 2\n",
		"deleted secret db-password", "imported secret db-password, version 1, 2\n",
		"rolled-back secret db-password, version 3, with the value of version 1", "fetched secret db-password, version 3, for task reader-task-1",
	} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, audit)
		}
	}
	if strings.Contains(audit, "canary") {
		t.Error("the audit log holds a value")
	}
	if out := n.run("audit", "--verify"); !strings.Contains(out, "are as they were written") {
		t.Errorf("verify says %s", out)
	}
}
