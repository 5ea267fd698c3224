package spec

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestOldVersionsLeaveTheNewest(t *testing.T) {
	s := &warrenv1.Secret{}
	for _, n := range []uint64{2, 3, 7} {
		s.Versions = append(s.Versions, &warrenv1.SecretVersion{Number: n})
	}
	for keep, want := range map[int]string{0: "[2 3]", 1: "[2 3]", 2: "[2]", 3: "[]", 9: "[]"} {
		if got := fmt.Sprint(OldVersions(s, keep)); got != want {
			t.Errorf("keep %d: %s, want %s", keep, got, want)
		}
	}
	if OldVersions(&warrenv1.Secret{}, 1) != nil {
		t.Error("of none there is one")
	}
	if VersionOf(s, 0).GetNumber() != 7 || VersionOf(s, 3).GetNumber() != 3 || VersionOf(s, 4) != nil {
		t.Error("the wrong version is found")
	}
}

func TestLifetimes(t *testing.T) {
	for arg, want := range map[string]time.Duration{"90d": 90 * day, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "never": 0} {
		if d, err := ParseLifetime(arg); err != nil || d.AsDuration() != want {
			t.Errorf("%q: %v, %v", arg, d, err)
		}
	}
	for _, arg := range []string{"", "d", "-1d", "0", "0d", "x", "1.5d", "90"} {
		if d, err := ParseLifetime(arg); err == nil {
			t.Errorf("%q is %v", arg, d.AsDuration())
		}
	}
	for _, d := range []time.Duration{time.Second, -time.Hour, 40000 * day} {
		if validateLifetime("s", durationpb.New(d)) == nil {
			t.Errorf("%v passed", d)
		}
	}
	if far, err := ParseLifetime("4294967295d"); err != nil || validateLifetime("s", far) == nil {
		t.Error("an age of the world passed")
	}
	if FormatLifetime(90*day) != "90d" || FormatLifetime(90*time.Minute) != "1h30m0s" {
		t.Error("it is not printed as it is read")
	}
}

func TestExpiryIsSoonForFourteenDays(t *testing.T) {
	at := time.Unix(1_000_000_000, 0)
	s := &warrenv1.Secret{Versions: []*warrenv1.SecretVersion{{Number: 1, ExpiresAt: timestamppb.New(at)}}}
	for ahead, want := range map[time.Duration]string{
		15 * day: "false false", 14 * day: "true false", time.Second: "true false", 0: "false true", -day: "false true",
	} {
		_, soon, over := Expiry(s, at.Add(-ahead))
		if got := fmt.Sprint(soon, over); got != want {
			t.Errorf("%v before: %s, want %s", ahead, got, want)
		}
	}
	if _, soon, over := Expiry(&warrenv1.Secret{Versions: []*warrenv1.SecretVersion{{Number: 1}}}, at); soon || over {
		t.Error("one that does not expire is marked")
	}
	if got := FormatUntil(at, at.Add(-25*time.Hour)) + ", " + FormatUntil(at, at.Add(3*day)); got != "in 1d, 3d ago" {
		t.Error(got)
	}
}
