package formatter

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestPipe has the path of a host on a Unix domain socket stand for its address, which has no port.
func TestPipe(t *testing.T) {
	e := emptyEntry()
	e.UpstreamPath = "@host"
	f := &config.LogFormat{Text: "%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT% %DOWNSTREAM_REMOTE_ADDRESS%"}
	if got, want := line(t, f, e), "@host @host @host - -"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
