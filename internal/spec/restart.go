package spec

import (
	"fmt"
	"strconv"
	"strings"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const maxRestartAttempts = 1_000_000

var restartWords = []string{"any", "on-failure", "none"}

// ParseRestartPolicy reads any, on-failure or none; the first two may be
// followed by how many restarts in a row there may be: on-failure:5.
func ParseRestartPolicy(arg string) (*warrenv1.RestartPolicy, error) {
	word, attempts, limited := strings.Cut(arg, ":")
	policy := &warrenv1.RestartPolicy{}
	switch word {
	case "any":
	case "on-failure":
		policy.Condition = warrenv1.RestartCondition_RESTART_CONDITION_ON_FAILURE
	case "none":
		policy.Condition = warrenv1.RestartCondition_RESTART_CONDITION_NONE
	default:
		return nil, invalid(KindService, "", "restart policy %q is not known", word).
			WithHint("%s", suggestion(word, restartWords, "the restart policies are"))
	}
	if !limited {
		return policy, nil
	}
	n, err := strconv.ParseUint(attempts, 10, 32)
	if err != nil || n == 0 || n > maxRestartAttempts || word == "none" {
		return nil, invalid(KindService, "", "restart policy %q is not valid", arg).WithHint("write it as on-failure:5")
	}
	policy.MaxAttempts = uint32(n)
	return policy, nil
}

// FormatRestartPolicy prints a policy as ParseRestartPolicy reads it.
func FormatRestartPolicy(p *warrenv1.RestartPolicy) string {
	word := restartWords[0]
	if i := int(p.GetCondition()); i >= 0 && i < len(restartWords) {
		word = restartWords[i]
	}
	if p.GetMaxAttempts() > 0 {
		return fmt.Sprintf("%s:%d", word, p.GetMaxAttempts())
	}
	return word
}

func validateRestart(service string, c *warrenv1.ContainerSpec) error {
	p := c.GetRestart()
	if _, known := warrenv1.RestartCondition_name[int32(p.GetCondition())]; !known {
		return invalid(KindService, service, "restart condition %d is not known", p.GetCondition())
	}
	if p.GetMaxAttempts() > maxRestartAttempts {
		return invalid(KindService, service, "%d restarts are asked for; the limit is %d", p.GetMaxAttempts(), maxRestartAttempts)
	}
	return nil
}

// Restarts tells whether a container that ended is to be started again. code is
// nil when nobody knows how it ended; earlier counts the restarts in a row so
// far, none of which ran well.
func Restarts(p *warrenv1.RestartPolicy, code *int32, earlier uint32) bool {
	switch p.GetCondition() {
	case warrenv1.RestartCondition_RESTART_CONDITION_NONE:
		return false
	case warrenv1.RestartCondition_RESTART_CONDITION_ON_FAILURE:
		if code != nil && *code == 0 {
			return false
		}
	}
	return p.GetMaxAttempts() == 0 || earlier < p.GetMaxAttempts()
}
