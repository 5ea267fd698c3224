package schedule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestLadderStaysInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 6), 1, 12).Draw(t, "counts")
		l := newLadder(len(counts))
		for i, c := range counts {
			l.insert(i, c)
		}
		for range rapid.IntRange(0, 40).Draw(t, "raises") {
			i := rapid.IntRange(0, len(counts)-1).Draw(t, "node")
			l.raise(i)
			counts[i]++
		}
		var got []int
		for n := range l.ascending() {
			got = append(got, counts[n])
		}
		want := slices.Sorted(slices.Values(counts))
		if !slices.Equal(got, want) {
			t.Fatalf("climbing finds %v, want %v", got, want)
		}
	})
}
