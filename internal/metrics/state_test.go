package metrics

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestStateShowsEveryNumber(t *testing.T) {
	s := NewState("1.2.3", func() (Snapshot, error) {
		return Snapshot{
			Services: 2, Secrets: 3, AppliedIndex: 17,
			Nodes: map[string]int{"ready": 1}, Tasks: map[string]int{"running": 4},
			Volumes:  []Volume{{Namespace: "default", Name: "db-data", Node: "worker-1", UsedBytes: 1200}},
			Expiring: []Secret{{Namespace: "default", Name: "db-password", ExpiresAt: time.Unix(1_900_000_000, 0)}},
		}, nil
	})
	want := `
# HELP warren_secret_expires_timestamp_seconds When the newest version of a secret expires, since the epoch.
# TYPE warren_secret_expires_timestamp_seconds gauge
warren_secret_expires_timestamp_seconds{namespace="default",secret="db-password"} 1.9e+09
# HELP warren_volume_used_bytes Bytes that the volume takes on its storage, when last measured.
# TYPE warren_volume_used_bytes gauge
warren_volume_used_bytes{namespace="default",node="worker-1",volume="db-data"} 1200
# HELP warren_tasks Tasks by state.
# TYPE warren_tasks gauge
warren_tasks{state="running"} 4
`
	if err := testutil.CollectAndCompare(s, strings.NewReader(want), "warren_secret_expires_timestamp_seconds", "warren_volume_used_bytes", "warren_tasks"); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(s); got != 10 {
		t.Errorf("%d metrics, want 10", got)
	}
}

func TestUnreadableStateIsAMetricToo(t *testing.T) {
	s := NewState("dev", func() (Snapshot, error) { return Snapshot{}, errors.New("sealed") })
	if err := testutil.CollectAndCompare(s, strings.NewReader(`
# HELP warren_state_readable 1 when the state could be read for this scrape.
# TYPE warren_state_readable gauge
warren_state_readable 0
`), "warren_state_readable"); err != nil {
		t.Error(err)
	}
}
