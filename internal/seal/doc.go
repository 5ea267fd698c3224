// Package seal is Warren's cryptography: how secret values are kept, how they
// travel, and the type that holds them in the clear. It does no input or
// output and reads no clock; randomness is passed in wherever the algorithm
// allows it.
//
//	unlock key ──PBKDF2──▶ KEK ──wraps──▶ Ring ──seals──▶ Box (a stored value)
//	                                       └─────seals──▶ Box (CA key, EnvelopeKey)
//	public key ──HPKE──▶ data key ───────────seals──────▶ envelope (a value on its way)
//
// Every algorithm is the standard library's; what is chosen here is which one,
// with what parameters, and what each ciphertext is bound to. The reason a
// choice is safe stands beside the line that makes it.
//
// Wiping and locking memory are best effort: Go's own cipher state, and the
// buffers of standard library calls that return new slices, are on its heap.
// Such copies are wiped where they can be reached; a process that opens secrets
// calls NoDumps first.
package seal
