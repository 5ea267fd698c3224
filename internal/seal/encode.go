package seal

import "encoding/binary"

// encode joins fields so that no two lists of fields give the same bytes: each
// is preceded by its length. The label separates one use from every other.
// The result is allocated once, so that wiping it leaves no copy behind.
func encode(label string, fields ...[]byte) []byte {
	size := 8 + len(label)
	for _, f := range fields {
		size += 8 + len(f)
	}
	out := appendField(make([]byte, 0, size), []byte(label))
	for _, f := range fields {
		out = appendField(out, f)
	}
	return out
}

func appendField(out, field []byte) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(len(field)))
	return append(out, field...)
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
