package seal

import "crypto/sha256"

// LinkSize is the length of a chain's hashes in bytes.
const LinkSize = sha256.Size

// Link returns the hash of a chain's element: of the hash that the element
// before begins with (none before the first), and of its own value. Whoever
// changes a value, or leaves one out, has to compute all hashes behind it anew.
func Link(before, value []byte) []byte {
	hash := sha256.New()
	var previous [LinkSize]byte
	copy(previous[:], before)
	hash.Write(previous[:])
	hash.Write(value)
	return hash.Sum(nil)
}
