// Package version knows which Warren this binary is, for `warren version`, for
// the hello of a node and for the metrics.
package version

// Version is the release, from `git describe`; the Makefile sets it through
// the linker.
var Version = "dev"

// Level is of what managers and workers say to one another: it goes up by one
// with each change that the other side must know of. A manager understands
// workers of its own level and of the one before.
var Level uint32 = 1
