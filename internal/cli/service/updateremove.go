package service

import (
	"fmt"
	"slices"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"github.com/cuemby/warren/internal/spec"
	"github.com/spf13/pflag"
)

// removals are the flags that take something away from a service.
func removals() []*removal {
	return []*removal{
		{flag: "env-rm", what: "`NAME` of an environment variable", from: func(s *warrenv1.ServiceSpec, _ map[string]string, name string) bool {
			return drop(&s.Container.Env, func(e *warrenv1.EnvVar) bool { return e.GetName() == name })
		}},
		{flag: "constraint-rm", what: "`CONDITION` on the node", from: func(s *warrenv1.ServiceSpec, _ map[string]string, word string) bool {
			return drop(&s.Constraints, func(c string) bool { return c == word })
		}},
		{flag: "label-rm", what: "`KEY` of a label", from: func(_ *warrenv1.ServiceSpec, labels map[string]string, key string) bool {
			_, found := labels[key]
			delete(labels, key)
			return found
		}},
		{flag: "volume-rm", what: "`NAME` or path of a volume", from: func(s *warrenv1.ServiceSpec, _ map[string]string, word string) bool {
			return drop(&s.Container.Volumes, func(m *warrenv1.VolumeMount) bool { return m.GetVolume() == word || m.GetPath() == word })
		}},
		{flag: "secret-rm", what: "`NAME` of a secret", from: func(s *warrenv1.ServiceSpec, _ map[string]string, name string) bool {
			return drop(&s.Container.Secrets, func(m *warrenv1.SecretMount) bool { return m.GetSecret() == name })
		}},
		{flag: "publish-rm", what: "published `PORT` of the container", from: func(s *warrenv1.ServiceSpec, _ map[string]string, word string) bool {
			return drop(&s.Container.Ports, func(p *warrenv1.PublishedPort) bool {
				port := fmt.Sprint(p.GetContainerPort())
				return word == port || word == port+"/"+spec.ProtocolName(p.GetProtocol()) || word == spec.FormatPublished(p)
			})
		}},
	}
}

// drop takes out of a list what matches, and tells whether anything did.
func drop[T any](list *[]T, matches func(T) bool) bool {
	before := len(*list)
	*list = slices.DeleteFunc(*list, matches)
	return len(*list) < before
}

// withoutDefaults keeps the help of an update from naming what a new service
// has where nothing is said: what an update does not name stays.
func withoutDefaults(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "string":
			f.DefValue = ""
		case "uint32":
			f.DefValue = "0"
		case "duration":
			f.DefValue = "0s"
		}
	})
}
