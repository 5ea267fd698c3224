package member

import (
	"testing"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/manager/consensus"
)

func TestWhoDoesNotAnswerIsDown(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return began.Add(d) }
	for name, c := range map[string]struct {
		member consensus.Member
		now    time.Time
		want   warrenv1.ManagerState
	}{
		"answers":              {consensus.Member{Voter: true, Heard: at(9 * time.Second)}, at(10 * time.Second), warrenv1.ManagerState_MANAGER_STATE_READY},
		"has fallen silent":    {consensus.Member{Voter: true, Heard: at(time.Second)}, at(10 * time.Second), warrenv1.ManagerState_MANAGER_STATE_DOWN},
		"has not answered yet": {consensus.Member{Voter: true}, at(silence), warrenv1.ManagerState_MANAGER_STATE_READY},
		"never answers":        {consensus.Member{Voter: true}, at(silence + 1), warrenv1.ManagerState_MANAGER_STATE_DOWN},
		"answered another leader of old": {consensus.Member{Voter: true, Heard: at(-time.Hour)}, at(time.Second),
			warrenv1.ManagerState_MANAGER_STATE_READY},
		"catches up": {consensus.Member{Heard: at(9 * time.Second)}, at(10 * time.Second), warrenv1.ManagerState_MANAGER_STATE_JOINING},
	} {
		if got := stateOf(c.member, began, c.now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
