package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cuemby/warren/internal/cli"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test's own binary the command `warren` of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"warren": func() {
			os.Exit(cli.Main(cli.Hooks{Init: runNode, Start: runNode, Ctr: runCtr}))
		},
	})
}

// runNode stands for what runs a node: it prints what it was told.
func runNode(_ context.Context, o cli.NodeOptions) error {
	fmt.Printf("%+v\n", o)
	return nil
}

func runCtr(args []string) error {
	fmt.Printf("ctr %q\n", args)
	return nil
}

// TestScripts runs testdata/*.txtar; each says in its first line what it shows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			socket := startStage(env)
			env.Setenv("WARREN_MANAGER", "unix://"+socket)
			env.Setenv("TZ", "UTC")
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700)
		},
		Condition: func(cond string) (bool, error) {
			return os.Geteuid() == 0, nil // the only one: root
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"opened": opened,
		},
	})
}

// exits CODE COMMAND ARG... runs a command that must end with that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%q ended with %d, not %d", args[1:], got, want)
	}
}

// opened SECRET ITEM VALUE says what the manager must have opened; @FILE is what
// a file contains.
func opened(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: opened SECRET ITEM VALUE")
	}
	st := ts.Value(stageKey{}).(*stage)
	got, ok := st.value(args[0], args[1])
	if !ok {
		ts.Fatalf("the manager has no item %q of secret %q", args[1], args[0])
	}
	want := args[2]
	if file, ok := strings.CutPrefix(want, "@"); ok {
		want = ts.ReadFile(file)
	}
	if got != want {
		ts.Fatalf("the manager opened %q, not %q", got, want)
	}
}
