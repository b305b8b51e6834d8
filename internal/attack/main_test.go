// Package attack attacks a running proxy: floods, bombs and forged messages, frame by frame, as they are known from the lists of
// vulnerabilities of proxies and servers. It has no code of its own.
//
// Each attack runs against origins that answer at once and against origins that answer late: a fast one hides what an attack
// sets off behind the proxy. While it runs, another client must go on being served, and afterwards nothing may be left. What
// it cost the proxy is logged in a line (see cost):
//
//	go test ./internal/attack -v -run Ping | grep cost:
//
// By default the attacks are as short as they can be and still reach their limits. -attack.full, or make attack, sends as
// much as an attacker would, and holds the proxy to bounds on time, which a busy machine does not keep.
package attack

import (
	"flag"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

var full = flag.Bool("attack.full", false, "attack at full length, with bounds on time")

func TestMain(m *testing.M) { process.Main(m) }

// count returns how often something is done: in the short form, or in the full one.
func count(short, long int) int {
	if *full {
		return long
	}
	return short
}

// abreast lets the short form of a test run beside others. Bounds on time, of the full form, need the machine for themselves.
func abreast(t *testing.T) {
	if !*full {
		t.Parallel()
	}
}
