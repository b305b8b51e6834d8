package managed

import (
	"flag"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// root is the top directory as seen from the tests, which run in the directory of their package.
const root = "../.."

var update = flag.Bool("update", false, "write the part of docs/compatibility.md anew")

func TestMain(m *testing.M) { process.Main(m) }
