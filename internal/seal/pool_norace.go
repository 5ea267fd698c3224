//go:build !race

package seal

const reusePages = true
