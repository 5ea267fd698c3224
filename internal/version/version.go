// Package version knows which Warren this is.
package version

// Version is the release, from `git describe`; the Makefile sets it through
// the linker.
var Version = "dev"
