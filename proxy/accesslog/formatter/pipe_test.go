package formatter

import (
	"net/netip"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestPipe has the paths of Unix domain sockets stand for addresses, which have no ports.
func TestPipe(t *testing.T) {
	e := emptyEntry()
	e.UpstreamPath = "@host"
	f := &config.LogFormat{Text: "%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT% %DOWNSTREAM_REMOTE_ADDRESS%"}
	if got, want := line(t, f, e), "@host @host @host - -"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e.DownstreamPath, e.DownstreamRemote = "/in", netip.MustParseAddrPort("192.0.2.1:5")
	f.Text = "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT% %DOWNSTREAM_REMOTE_ADDRESS%"
	if got, want := line(t, f, e), "/in /in - 192.0.2.1:5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
