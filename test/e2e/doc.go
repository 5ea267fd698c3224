// Package e2e tries Warren as a new user would: from the built binary, with
// real containers and a real PostgreSQL. Its tests carry the build tag e2e and
// want root; `make test` builds what they need.
package e2e
