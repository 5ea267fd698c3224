package spec

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

var sizePattern = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMGTPE]?)(I?)B?$`)

// ParseSize reads bytes as people write them: 23, 64MB, 1.5G, 512MiB. K, M, G
// and so on are powers of 1000, as everywhere Warren prints sizes; Ki, Mi, Gi
// are powers of 1024.
func ParseSize(arg string) (uint64, error) {
	m := sizePattern.FindStringSubmatch(strings.ToUpper(arg))
	if m == nil || m[2] == "" && m[3] != "" {
		return 0, invalid("", "", "%q is not a size", arg).WithHint("write it as 64MB, 1.5GB or 512MiB")
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, invalid("", "", "%q is not a size", arg)
	}
	base := 1000.0
	if m[3] != "" {
		base = 1024
	}
	bytes := value * math.Pow(base, float64(power(m[2])))
	if bytes >= math.MaxInt64 {
		return 0, invalid("", "", "size %s is more than there can be", arg)
	}
	return uint64(math.Round(bytes)), nil
}

// ParseCPU reads a number of processors, such as 2, 0.5 or 500m, as thousandths
// of one.
func ParseCPU(arg string) (uint32, error) {
	number, scale := arg, 1000.0
	if n, milli := strings.CutSuffix(arg, "m"); milli {
		number, scale = n, 1
	}
	value, err := strconv.ParseFloat(number, 64)
	millis := math.Round(value * scale)
	if err != nil || !(millis >= 1 && millis <= maxCPUMillis) {
		return 0, invalid("", "", "%q is not a number of CPUs", arg).WithHint("write it as 2, 0.5 or 500m")
	}
	return uint32(millis), nil
}

// FormatCPU prints thousandths of a processor as ParseCPU reads them: 0.5.
func FormatCPU(millis uint64) string {
	return strconv.FormatFloat(float64(millis)/1000, 'f', -1, 64)
}

// between refuses a time that is not within bounds; what names it.
func between(service, what string, d *durationpb.Duration, least, most time.Duration) error {
	if t := d.AsDuration(); !d.IsValid() || t < least || t > most {
		return invalid(KindService, service, "%s of %v is not between %v and %v", what, t, least, most)
	}
	return nil
}

// power is 0 for no letter, 1 for K, 2 for M and so on.
func power(letter string) int {
	if letter == "" {
		return 0
	}
	return 1 + strings.Index("KMGTPE", letter)
}
