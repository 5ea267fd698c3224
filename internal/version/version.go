// Package version knows which Warren this binary is, for `warren version`, for
// the hello of a node and for the metrics.
package version

// Version is the release, from `git describe`; the Makefile sets it through
// the linker.
var Version = "dev"
