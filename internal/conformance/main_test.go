package conformance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

func TestMain(m *testing.M) { process.Main(m) }
