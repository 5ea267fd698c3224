package spec

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

// DefaultUsageInterval is the time over which usage is measured.
const DefaultUsageInterval = time.Second

// UsageInterval fills in the interval of a request for usage, and checks it.
func UsageInterval(r *warrenv1.WatchUsageRequest) error {
	if r.Interval == nil {
		r.Interval = durationpb.New(DefaultUsageInterval)
	}
	return between("", "an interval", r.Interval, 100*time.Millisecond, time.Hour)
}
