package spec

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFormatSizeAsTheGuidePrints(t *testing.T) {
	for bytes, want := range map[uint64][2]string{
		0:              {"0B", "0 bytes"},
		1:              {"1B", "1 byte"},
		23:             {"23B", "23 bytes"},
		64:             {"64B", "64 bytes"},
		999:            {"999B", "999 bytes"},
		1000:           {"1KB", "1 KB"},
		1200:           {"1.2KB", "1.2 KB"},
		500_000_000:    {"500MB", "500 MB"},
		1_200_000_000:  {"1.2GB", "1.2 GB"},
		99_940:         {"99.9KB", "99.9 KB"},
		99_960:         {"100KB", "100 KB"},
		999_499:        {"999KB", "999 KB"},
		999_500:        {"1MB", "1 MB"},
		1 << 20:        {"1MB", "1 MB"},
		math.MaxUint64: {"18.4EB", "18.4 EB"},
	} {
		if got := [2]string{FormatSize(bytes), FormatSizeLong(bytes)}; got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

func TestSizesStayShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.Uint64().Draw(t, "bytes") >> rapid.IntRange(0, 63).Draw(t, "shift")
		if s := FormatSize(bytes); len(s) > 6 {
			t.Fatalf("%d is printed as %q", bytes, s)
		}
	})
}

func TestFormatAge(t *testing.T) {
	const day = 24 * time.Hour
	for age, want := range map[time.Duration]string{
		-time.Minute:     "0s ago",
		0:                "0s ago",
		59 * time.Second: "59s ago",
		time.Minute:      "1m ago",
		5 * time.Hour:    "5h ago",
		2 * day:          "2d ago",
		400 * day:        "400d ago",
		800 * day:        "2y ago",
	} {
		if got := FormatAge(age); got != want {
			t.Errorf("%v: %q, want %q", age, got, want)
		}
	}
}
