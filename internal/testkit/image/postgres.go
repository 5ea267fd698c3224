package image

import (
	"context"
	_ "embed"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

//go:embed postgres.sh
var postgresEntrypoint string

// notInPostgres are dependencies for installing by hand, and for a compiler
// that PostgreSQL does without when its module is not there.
var notInPostgres = []string{
	"perl", "libperl", "libjson-perl", "libfile-find-rule-perl", "debconf", "cdebconf", "dpkg", "adduser", "ucf",
	"locales", "libllvm", "ssl-cert", "postgresql-common", "postgresql-client-common", "openssl",
	"init-system-helpers", "usr", "lsb-base", "sysvinit-utils", "install-info", "readline-common", "libdb5",
	"libgdbm", "passwd", "tar", "libelogind", "util-linux-extra", "libnewt", "libslang", "libtextwrap",
	"libdebian-installer", "sensible-utils",
}

// Postgres is postgres:15 from Debian, with the settings and paths of the
// image of that name on Docker Hub: POSTGRES_USER, POSTGRES_PASSWORD,
// POSTGRES_DB, each also as NAME_FILE, and its data as user 999 in
// /var/lib/postgresql/data.
func Postgres(ctx context.Context) (Image, error) {
	const name = "docker.io/library/postgres:15"
	roots := []string{"postgresql-15", "postgresql-client-15", "dash", "coreutils", "findutils", "sed", "util-linux", "libc-bin", "netbase", "tzdata"}
	packages, err := closure(ctx, roots, notInPostgres...)
	if err != nil {
		return Image{}, err
	}
	l := newLayer("usr/lib/postgresql/15/lib/bitcode/", "usr/lib/postgresql/15/lib/llvmjit", "usr/share/i18n/", "usr/share/postgresql/15/man/")
	if err := l.system(); err != nil {
		return Image{}, err
	}
	if err := postgresFiles(l); err != nil {
		return Image{}, err
	}
	if err := l.packages(ctx, packages); err != nil {
		return Image{}, err
	}
	whole, err := l.finish()
	if err != nil {
		return Image{}, err
	}
	return assemble(name, v1.Config{
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"postgres"},
		Env: []string{
			"PATH=/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"LANG=C.UTF-8",
			"PGDATA=/var/lib/postgresql/data",
		},
		Volumes:      map[string]struct{}{"/var/lib/postgresql/data": {}},
		ExposedPorts: map[string]struct{}{"5432/tcp": {}},
		StopSignal:   "SIGINT",
	}, whole)
}

// postgresFiles come before the packages', so that the owners are right.
func postgresFiles(l *layer) error {
	files := map[string]string{
		"etc/passwd":        "root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"etc/group":         "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := l.file(path, 0o644, files[path]); err != nil {
			return err
		}
	}
	for _, dir := range []string{"usr/local", "usr/local/bin", "var/lib"} {
		if err := l.dir(dir, 0o755, 0); err != nil {
			return err
		}
	}
	if err := l.file("usr/local/bin/docker-entrypoint.sh", 0o755, postgresEntrypoint); err != nil {
		return err
	}
	if err := l.dir("var/lib/postgresql", 0o755, 999); err != nil {
		return err
	}
	if err := l.dir("var/lib/postgresql/data", 0o700, 999); err != nil {
		return err
	}
	return l.dir("run/postgresql", 0o2775, 999)
}
