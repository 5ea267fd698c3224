package consensus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// An upgrade brings the database to its format and keeps it as it was; the
// older version refuses the newer one, and can go back to what was kept. Not
// parallel, since it changes what this version is.
func TestAnUpgradeKeepsTheDatabaseAsItWas(t *testing.T) {
	dir := t.TempDir()
	c := start(t, options(dir))
	mustPropose(t, c, put("secret/a", "before"))
	stop(t, c)

	older, before := format, migrations
	defer func() { format, migrations = older, before }()
	format++
	migrations = append(migrations, func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put([]byte("migrated"), []byte{1}) })
	c = start(t, options(dir))
	want(t, c, "secret/a", "before")
	mustPropose(t, c, put("secret/a", "after"))
	stop(t, c)
	c = start(t, options(dir)) // once more, with nothing to migrate
	want(t, c, "secret/a", "after")
	stop(t, c)

	format, migrations = older, before
	if _, err := Open(options(dir)); err == nil || !strings.Contains(err.Error(), "newer Warren") {
		t.Fatalf("the older version says %v", err)
	}
	back := options(t.TempDir())
	if err := os.MkdirAll(back.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	saved := savedPath(c.databasePath(), older)
	text, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(back.DataDir, filepath.Base(c.databasePath())), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c = start(t, back)
	want(t, c, "secret/a", "before")
}

func TestADatabaseThatCannotBeSavedIsNotMigrated(t *testing.T) {
	dir := t.TempDir()
	c := start(t, options(dir))
	stop(t, c)
	older, before := format, migrations
	defer func() { format, migrations = older, before }()
	format++
	migrations = append(migrations, func(*bolt.Tx) error { return nil })
	if err := os.Mkdir(savedPath(c.databasePath(), older)+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options(dir)); err == nil || !strings.Contains(err.Error(), "cannot be saved") {
		t.Fatalf("got %v", err)
	}
	format, migrations = older, before
	start(t, options(dir))
}

func TestScrubbingRemovesWhatAnUpgradeKept(t *testing.T) {
	c := start(t, options(t.TempDir()))
	saved := savedPath(c.databasePath(), format)
	if err := os.WriteFile(saved, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(saved); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
