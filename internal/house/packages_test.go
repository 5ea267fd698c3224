package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the repository's, seen from this package.
const root = "../.."

func goDirs(t *testing.T) map[string][]string {
	t.Helper()
	dirs := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			dirs[filepath.Dir(path)] = append(dirs[filepath.Dir(path)], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for dir, files := range goDirs(t) {
		if comment := packageComment(t, files); len(strings.Fields(comment)) < 8 {
			t.Errorf("%s: the package comment must say in a sentence what the package is for, has %q", dir, comment)
		}
	}
}

func packageComment(t *testing.T, files []string) string {
	t.Helper()
	longest := ""
	for _, file := range files {
		if strings.HasSuffix(file, ".pb.go") {
			// Generated packages are described by their .proto files.
			return "generated from the protocol buffer files that lie beside it"
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && len(f.Doc.Text()) > len(longest) {
			longest = f.Doc.Text()
		}
	}
	return longest
}

// The state machine must do the same on every manager and in every version:
// whatever time or chance there is comes in with the entry.
func TestStateMachineHasNoClockAndNoChance(t *testing.T) {
	for _, name := range []string{"machine.go", "apply.go"} {
		file := filepath.Join(root, "internal/manager/consensus", name)
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatalf("%v; if the state machine moved, move this rule with it", err)
		}
		for _, banned := range clockUses(f) {
			t.Errorf("%s: %s in the state machine", file, banned)
		}
	}
}

// clockUses names the imports and calls through which time or chance come in.
// The time package itself is allowed for durations, such as how long to wait
// before a failed commit is tried again.
func clockUses(f *ast.File) []string {
	var found []string
	for _, i := range f.Imports {
		switch path := strings.Trim(i.Path.Value, `"`); path {
		case "math/rand", "math/rand/v2", "crypto/rand", "github.com/google/uuid":
			found = append(found, path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && (s.Sel.Name == "Now" || s.Sel.Name == "Since" || s.Sel.Name == "Until") {
				found = append(found, "time."+s.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestClockUsesAreSeen(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nimport (\"time\"; \"math/rand\")\nvar _ = time.Now()\nvar _ = rand.Int()", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := clockUses(f); len(got) != 2 {
		t.Fatalf("saw %v, want both", got)
	}
}

func TestNoSleepInTests(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "internal/house") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "time.Sleep(") && !strings.Contains(string(text), "synctest") {
			t.Errorf("%s sleeps: wait for the event instead", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
