//go:build next

package version

// A build that stands for the next release, for the tests of upgrades.
func init() { Level++ }
