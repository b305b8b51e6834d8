package conformance

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// root is the top directory as seen from the tests, which run in the directory of their package.
const root = "../.."

// tool returns the path of a program that tools/go.mod pins. The go command builds it when its cache has none.
func tool(t *testing.T, pkg string) string {
	t.Helper()
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", pkg)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = exit.Stderr
		}
		t.Fatalf("go tool %s: %v\n%s", pkg, err, out)
	}
	return strings.TrimSpace(string(out))
}

// installed returns the path of a program of the system. Without it the test is skipped, and fails in continuous integration,
// which installs all of them: see TEST_DEPS of the Makefile.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%v: make deps-test installs it", err)
	default:
		t.Skipf("%v: make deps-test installs it", err)
	}
	return ""
}

// output runs a program to its end and returns what it wrote and how it ended: nil for status 0.
func output(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	p := process.Run(t, process.Command{Path: path, Args: args})
	err := p.Wait()
	return p.Output(), err
}

// mustOutput is output of a program that has to end with status 0.
func mustOutput(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := output(t, path, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", path, strings.Join(args, " "), err, out)
	}
	return out
}
