package spec

import (
	"fmt"
	"strings"
	"time"
)

var units = []string{"B", "KB", "MB", "GB", "TB", "PB", "EB"}

// FormatSize prints bytes as lists do: 23B, 1.2KB, 500MB. Units are decimal,
// three digits at most.
func FormatSize(bytes uint64) string {
	number, unit := scale(bytes)
	return number + unit
}

// FormatSizeLong prints bytes as inspect does: 1 byte, 23 bytes, 1.2 GB.
func FormatSizeLong(bytes uint64) string {
	switch {
	case bytes == 1:
		return "1 byte"
	case bytes < 1000:
		return fmt.Sprintf("%d bytes", bytes)
	}
	number, unit := scale(bytes)
	return number + " " + unit
}

func scale(bytes uint64) (number, unit string) {
	if bytes < 1000 {
		return fmt.Sprint(bytes), units[0]
	}
	u, value := 0, float64(bytes)
	// 999.95 would be printed as 1000.0: that is the next unit already.
	for value >= 999.5 && u < len(units)-1 {
		value /= 1000
		u++
	}
	if value < 99.95 {
		if tenths := fmt.Sprintf("%.1f", value); tenths[len(tenths)-2:] != ".0" {
			return tenths, units[u]
		}
	}
	return fmt.Sprintf("%.0f", value), units[u]
}

// FormatIn prints how far something lies ahead: in 30s, in 5h.
func FormatIn(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + strings.TrimSuffix(FormatAge(d), " ago")
}

// FormatAge prints how long ago something was: 30s ago, 5h ago, 2d ago. What
// lies ahead, because two clocks differ, was 0s ago.
func FormatAge(age time.Duration) string {
	const day = 24 * time.Hour
	for _, step := range []struct {
		below, unit time.Duration
		letter      string
	}{
		{time.Minute, time.Second, "s"},
		{time.Hour, time.Minute, "m"},
		{day, time.Hour, "h"},
		{2 * 365 * day, day, "d"},
	} {
		if age < step.below {
			return fmt.Sprintf("%d%s ago", max(age, 0)/step.unit, step.letter)
		}
	}
	return fmt.Sprintf("%dy ago", age/(365*day))
}
