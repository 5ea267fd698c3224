package secretfs

import "os"

// Capacity returns how many bytes a filesystem needs for files of the given
// sizes: whole pages for each, and room to replace the largest of them, since
// the new content is written beside the old one.
func Capacity(sizes ...uint64) uint64 {
	var total, largest uint64
	for _, n := range sizes {
		total += pages(n)
		largest = max(largest, pages(n))
	}
	// Never 0, which tmpfs takes for "no limit".
	return max(total+largest, pages(1))
}

// pages rounds up to whole pages of memory, in bytes.
func pages(n uint64) uint64 {
	page := uint64(os.Getpagesize())
	return (n + page - 1) / page * page
}
