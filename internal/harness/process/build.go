package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

const (
	// program is what is built.
	program = "github.com/penguintechinc/marchproxy-alb/cmd/proxy-alb"
	// BinaryVariable names in the environment a proxy-alb that was built before, for a test that runs another test binary.
	BinaryVariable = "PROXY_ALB_BINARY"
)

// built is the program of this run of the test binary.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Main runs the tests of a package as harness.Main does, and removes what they have built.
func Main(m *testing.M) { harness.Main(m, clean) }

func clean() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

// Binary returns the path of proxy-alb, which the first caller builds. The package's TestMain is to be Main, which removes it.
func Binary(t testing.TB) string {
	t.Helper()
	built.once.Do(build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func build() {
	if built.path = os.Getenv(BinaryVariable); built.path != "" {
		return
	}
	if built.dir, built.err = os.MkdirTemp("", "proxy-alb"); built.err != nil {
		return
	}
	built.path = filepath.Join(built.dir, "proxy-alb")
	args := []string{"build", "-o", built.path}
	cgo := "CGO_ENABLED=0"
	if Race {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, program)...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
}
