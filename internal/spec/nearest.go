package spec

import (
	"fmt"
	"strings"
)

// Nearest returns the known word that the given one is most likely a slip of.
func Nearest(word string, known []string) (nearest string, found bool) {
	best := max(1, min(3, len(word)/2)) + 1
	for _, k := range known {
		if d := distance(word, k); d < best {
			best, nearest, found = d, k, true
		}
	}
	return nearest, found
}

// suggestion names the nearest of the known words, or all of them.
func suggestion(word string, known []string, intro string) string {
	if len(known) == 0 {
		return "leave it out"
	}
	if nearest, ok := Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", nearest)
	}
	return intro + " " + strings.Join(known, ", ")
}

// distance is Levenshtein's, over bytes, cut short for words too long to be a
// slip of anything.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
