package managed

import (
	"flag"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// root is the top directory as seen from the tests, which run in the directory of their package.
const root = "../.."

var (
	update = flag.Bool("update", false, "write the part of docs/compatibility.md anew")
	full   = flag.Bool("managed.full", false, "serve as many random snapshots as are worth while")
	seed   = flag.Uint64("managed.seed", 0, "of random snapshots, 0 for another one each time")
)

func TestMain(m *testing.M) { process.Main(m) }

// count returns how often something is done: in the short form, or in the full one.
func count(short, long int) int {
	if *full {
		return long
	}
	return short
}
