package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/cuemby/warren"

// ban says that no package of room may import anything of target, except what
// is listed; why is shown to whoever breaks it. A trailing "/..." stands for
// all packages below.
type ban struct {
	room   string
	target string
	except []string
	why    string
}

var bans = []ban{
	// Manager and worker share words, never code: they are two processes that
	// meet on the wire.
	{"internal/manager/...", "internal/worker/...", nil, "a manager speaks to workers over gRPC only, also when both live in one process"},
	{"internal/worker/...", "internal/manager/...", nil, "a worker speaks to managers over gRPC only, also when both live in one process"},

	// Server, dispatch and the reconcilers meet through committed state.
	{"internal/manager/server", "internal/manager/dispatch", nil, "server and dispatch meet through committed state and the Streams interface"},
	{"internal/manager/server", "internal/manager/control/...", nil, "what a request changes is acted on after it is committed, never by a sideways call"},
	{"internal/manager/dispatch", "internal/manager/server", nil, "server and dispatch meet through committed state and the Streams interface"},
	{"internal/manager/dispatch", "internal/manager/control/...", nil, "dispatch sends what is committed, whoever decided it"},
	{"internal/manager/control/...", "internal/manager/server", nil, "a reconciler reacts to state, not to requests"},
	{"internal/manager/control/...", "internal/manager/dispatch", nil, "a reconciler writes state; dispatch carries it to workers"},
	{"internal/manager/control/...", "internal/manager/control/...", nil, "reconcilers meet through committed state, so that each can be understood and killed alone"},
	{"internal/manager/store/...", "internal/manager/consensus", nil, "store declares Proposer and Engine, consensus implements them"},

	// Interfaces do not know who implements them.
	{"internal/worker/runtime", "internal/worker/runtime/containerd", nil, "an interface that imports its driver is no interface"},
	{"internal/worker/volume", "internal/worker/volume/local", nil, "an interface that imports its driver is no interface"},
	{"internal/worker/agent", "internal/worker/runtime/containerd", nil, "only node wires drivers to the agent"},
	{"internal/worker/agent", "internal/worker/volume/local", nil, "only node wires drivers to the agent"},
	{"internal/worker/agent", "internal/worker/volume/hostpath", nil, "only node wires drivers to the agent"},

	// A person's program has no short cut into the server.
	{"internal/cli/...", "internal/manager/...", nil, "the CLI does nothing that another client could not do"},
	{"internal/cli/...", "internal/worker/...", nil, "the CLI does nothing that another client could not do"},
	{"internal/cli/...", "internal/node", nil, "main hands node's entry points to the CLI, so that tests of the CLI need no node"},
	{"internal/client/...", "internal/manager/...", nil, "a client knows the API only"},

	// Metrics are importable by all and import nobody.
	{"internal/metrics", "internal/...", nil, "metrics are importable by all, so they import none"},
}

// pure rooms may import the standard library, the API and spec, and what is
// named with a reason; no clock, disk or network among it.
var pure = map[string][]string{
	// The parser of image references is the registries' own; it is pure.
	"internal/spec": {"github.com/distribution/reference"},
	// Locked memory outside the Go heap needs mmap and madvise.
	"internal/seal":             {"golang.org/x/sys/unix"},
	"internal/manager/schedule": nil,
	"internal/manifest":         nil,
}

var impure = []string{"os", "net", "net/http", "os/exec", "math/rand", "math/rand/v2"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "e2e", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module+"/")
		all = append(all, p)
	}
}

func matches(pattern, pkg string) bool {
	if room, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == room || strings.HasPrefix(pkg, room+"/")
	}
	return pkg == pattern
}

func (b ban) breaks(from, to string) bool {
	if from == to || !matches(b.room, from) || !matches(b.target, to) {
		return false
	}
	for _, e := range b.except {
		if matches(e, to) {
			return false
		}
	}
	return true
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			for _, b := range bans {
				if b.breaks(p.ImportPath, to) {
					t.Errorf("%s imports %s: %s", p.ImportPath, to, b.why)
				}
			}
		}
	}
}

func TestPureRoomsAreWithoutClockDiskAndNetwork(t *testing.T) {
	for _, p := range packages(t) {
		allowed, isPure := pure[p.ImportPath]
		if !isPure {
			continue
		}
		for _, imported := range p.Imports {
			if !mayImport(imported, allowed) {
				t.Errorf("%s imports %s: a pure room takes everything it needs as an argument", p.ImportPath, imported)
			}
		}
	}
}

func mayImport(imported string, allowed []string) bool {
	for _, a := range allowed {
		if imported == a {
			return true
		}
	}
	for _, i := range impure {
		if imported == i {
			return false
		}
	}
	if to, ours := strings.CutPrefix(imported, module+"/"); ours {
		return to == "internal/spec" || strings.HasPrefix(to, "api/")
	}
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") || strings.HasPrefix(imported, "google.golang.org/protobuf/")
}

// The rule itself must be able to fail.
func TestBanMatches(t *testing.T) {
	b := ban{room: "internal/manager/control/...", target: "internal/manager/control/..."}
	if !b.breaks("internal/manager/control/place", "internal/manager/control/service") {
		t.Error("a reconciler importing another one passed")
	}
	if b.breaks("internal/manager/control/place", "internal/manager/store") {
		t.Error("a reconciler may import the store")
	}
}

func TestNoRoomIsNamedAfterNothing(t *testing.T) {
	for _, p := range packages(t) {
		for _, part := range strings.Split(p.ImportPath, "/") {
			switch part {
			case "util", "utils", "common", "helper", "helpers", "misc", "shared":
				t.Errorf("%s: %q says nothing about what belongs there", p.ImportPath, part)
			}
		}
	}
}
