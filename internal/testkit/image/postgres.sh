#!/bin/sh
# Starts PostgreSQL; on an empty data directory it first makes a cluster from
# POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, or the same with _FILE.
set -eu

die() {
	echo "docker-entrypoint.sh: $*" >&2
	exit 1
}

# setting NAME DEFAULT prints $NAME, the content of the file $NAME_FILE, or the
# default.
setting() {
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	if [ "$value" ] && [ "$file" ]; then
		die "give either $1 or $1_FILE, not both"
	fi
	if [ "$file" ]; then
		[ -r "$file" ] || die "cannot read $file, which $1_FILE names"
		value=$(cat "$file")
	fi
	printf '%s' "${value:-$2}"
}

# initialise makes the cluster aside and moves PG_VERSION last, so that one
# that was interrupted is begun again.
initialise() {
	new=$PGDATA/.new
	[ ! -e "$new" ] || find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
	[ -z "$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found)" ] ||
		die "$PGDATA has files in it that are not PostgreSQL's"
	user=$(setting POSTGRES_USER postgres)
	password=$(setting POSTGRES_PASSWORD '')
	database=$(setting POSTGRES_DB "$user")
	[ "$password" ] || die "set POSTGRES_PASSWORD_FILE, or POSTGRES_PASSWORD, for user $user"

	mkdir -m 0700 "$new"
	# The password goes through a pipe and is neither in a file nor in a list
	# of processes.
	initdb -D "$new" -U "$user" --auth-local=trust --auth-host=scram-sha-256 \
		--encoding=UTF8 --locale=C.UTF-8 --pwfile=/dev/fd/3 3<<-EOF
		$password
	EOF
	unset password
	echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$new/postgresql.conf"
	if [ "$database" != postgres ]; then
		printf 'CREATE DATABASE "%s"\n' "$(printf %s "$database" | sed 's/"/""/g')" |
			postgres --single -D "$new" postgres >/dev/null
	fi
	find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
	mv "$new/PG_VERSION" "$PGDATA/"
	rmdir "$new"
}

case "${1:-}" in
-*) set -- postgres "$@" ;;
esac
[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" /run/postgresql
	find "$PGDATA" /run/postgresql ! -user postgres -exec chown -h postgres:postgres {} +
	chmod 0700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
[ -s "$PGDATA/PG_VERSION" ] || initialise
exec "$@"
