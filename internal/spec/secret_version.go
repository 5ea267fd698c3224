package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const (
	// DefaultKeep is how many versions of a secret are kept.
	DefaultKeep = 10
	maxKeep     = 100
	// ExpiryNotice is how long before its expiry people are told of it.
	ExpiryNotice = 14 * day

	minLifetime = time.Minute
	maxLifetime = 36500 * day
	day         = 24 * time.Hour
)

// NewestVersion is what new tasks get; nil of a secret that has none.
func NewestVersion(s *warrenv1.Secret) *warrenv1.SecretVersion {
	if n := len(s.GetVersions()); n > 0 {
		return s.GetVersions()[n-1]
	}
	return nil
}

// VersionOf returns the version of that number, the newest when it is 0; nil
// when there is none, or none any more.
func VersionOf(s *warrenv1.Secret, number uint64) *warrenv1.SecretVersion {
	if number == 0 {
		return NewestVersion(s)
	}
	for _, v := range s.GetVersions() {
		if v.GetNumber() == number {
			return v
		}
	}
	return nil
}

// Keep is how many versions of the secret are kept.
func Keep(s *warrenv1.Secret) int {
	if s.GetKeep() == 0 {
		return DefaultKeep
	}
	return int(s.GetKeep())
}

// OldVersions are the numbers of those that are not among the newest keep,
// oldest first. The newest one is never among them.
func OldVersions(s *warrenv1.Secret, keep int) (old []uint64) {
	for _, v := range s.GetVersions()[:max(0, len(s.GetVersions())-max(keep, 1))] {
		old = append(old, v.GetNumber())
	}
	return old
}

// KeepVersions checks how many versions of a secret are to be kept.
func KeepVersions(secret string, keep uint32) error {
	if keep < 1 || keep > maxKeep {
		return invalid(KindSecret, secret, "%d versions of secret %q are to be kept; it has between 1 and %d", keep, secret, maxKeep)
	}
	return nil
}

// ExpiresAt is when a version expires that is made, or renewed, now; nil when
// it does not.
func ExpiresAt(s *warrenv1.Secret, now time.Time) *timestamppb.Timestamp {
	if s.GetLifetime().AsDuration() == 0 {
		return nil
	}
	return timestamppb.New(now.Add(s.GetLifetime().AsDuration()))
}

// Expiry tells how the secret's newest version stands: whether it expires at
// all, and when; whether that is soon, or over.
func Expiry(s *warrenv1.Secret, now time.Time) (at time.Time, soon, over bool) {
	expires := NewestVersion(s).GetExpiresAt()
	if expires == nil {
		return time.Time{}, false, false
	}
	at = expires.AsTime()
	over = !now.Before(at)
	return at, !over && !now.Before(at.Add(-ExpiryNotice)), over
}

func validateLifetime(secret string, d *durationpb.Duration) error {
	if d == nil || d.IsValid() && d.AsDuration() == 0 {
		return nil
	}
	if !d.IsValid() || d.AsDuration() < minLifetime || d.AsDuration() > maxLifetime {
		return invalid(KindSecret, secret, "a lifetime of %s is not between %s and %s",
			FormatLifetime(d.AsDuration()), FormatLifetime(minLifetime), FormatLifetime(maxLifetime)).
			WithHint("write it as 90d, 12h or never")
	}
	return nil
}

// ParseLifetime reads for how long a version of a secret is good: 90d, 36h, or
// never, which is 0.
func ParseLifetime(arg string) (*durationpb.Duration, error) {
	if arg == "never" {
		return durationpb.New(0), nil
	}
	d, err := parseDays(arg)
	if err != nil || d <= 0 {
		return nil, invalid(KindSecret, "", "%q is not a time until which a secret is good", arg).WithHint("write it as 90d, 12h or never")
	}
	return durationpb.New(d), nil
}

// parseDays reads 90d besides what Go reads.
func parseDays(arg string) (time.Duration, error) {
	number, days := strings.CutSuffix(arg, "d")
	if !days {
		return time.ParseDuration(arg)
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err == nil && n > math.MaxInt64/uint64(day) {
		return math.MaxInt64, nil
	}
	return time.Duration(n) * day, err
}

// FormatLifetime prints a time as ParseLifetime reads it: 90d.
func FormatLifetime(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// FormatUntil prints how far something lies ahead: in 9d, in 5h; what is over:
// 2d ago.
func FormatUntil(at, now time.Time) string {
	if ahead := at.Sub(now); ahead > 0 {
		return "in " + strings.TrimSuffix(FormatAge(ahead), " ago")
	}
	return FormatAge(now.Sub(at))
}

// ValidateSecretUpdate checks all of a request but the sizes of its values. The
// name is the secret's.
func ValidateSecretUpdate(name string, r *warrenv1.UpdateSecretRequest) error {
	if len(r.GetItems()) > 0 {
		if err := secretItems(name, r.GetItems()); err != nil {
			return err
		}
	}
	if r.Keep != nil {
		if err := KeepVersions(name, r.GetKeep()); err != nil {
			return err
		}
	}
	if err := validateLifetime(name, r.GetLifetime()); err != nil {
		return err
	}
	if len(r.GetItems()) == 0 && r.Keep == nil && r.GetLifetime() == nil && len(r.GetSetLabels())+len(r.GetRemoveLabels()) == 0 {
		return invalid(KindSecret, name, "nothing is to be changed of secret %q", name).
			WithHint("give a new value with --from-literal KEY=VALUE, --from-file PATH or --from-stdin")
	}
	return Labels(r.GetSetLabels())
}

// ShapeChange warns of what a new version does to those who know where the
// value of the one before was; "" if nothing.
func ShapeChange(name string, before, after *warrenv1.SecretVersion) string {
	was, is := len(before.GetKeys()) > 0, len(after.GetKeys()) > 0
	switch {
	case was == is:
		return ""
	case is:
		return fmt.Sprintf("secret %s was a file and is a directory now: containers find %s/%s/%s instead of %s/%s",
			name, SecretsDir, name, after.GetKeys()[0], SecretsDir, name)
	default:
		return fmt.Sprintf("secret %s was a directory and is a file now: containers find %s/%s instead of %s/%s/%s",
			name, SecretsDir, name, SecretsDir, name, before.GetKeys()[0])
	}
}
