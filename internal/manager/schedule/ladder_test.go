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
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(counts)-1), 0, len(counts), rapid.ID[int]).Draw(t, "removed") {
			l.remove(i)
			counts[i] = none
		}
		counts = slices.DeleteFunc(counts, func(c int) bool { return c == none })
		var got []int
		for n := range l.ascending() {
			got = append(got, l.count[n])
		}
		want := slices.Sorted(slices.Values(counts))
		if !slices.Equal(got, want) {
			t.Fatalf("climbing finds %v, want %v", got, want)
		}
	})
}
