// Package attack holds attacks on a running proxy.
package attack

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
