// Package failpoint names the places where a test may end the process, to see
// that the next start goes on from there. Outside of tests they do nothing.
package failpoint

import "sync/atomic"

var hit atomic.Pointer[func(name string)]

// Hit says that a place was reached. It costs one atomic load.
func Hit(name string) {
	if f := hit.Load(); f != nil {
		(*f)(name)
	}
}

// Arm has f called at every place that is reached; nil disarms. For tests.
func Arm(f func(name string)) {
	if f == nil {
		hit.Store(nil)
		return
	}
	hit.Store(&f)
}
