package conformance

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// TestNghttp looks at what nghttp, which takes a response apart frame by frame, says that it has got.
func TestNghttp(t *testing.T) {
	nghttp := installed(t, "nghttp")
	p := startWithOrigin(t)
	path, _ := upload(t)
	for name, test := range map[string]struct {
		args []string // the last one is a path
		n    int      // requests
		want []string // lines that have to be there for each request
	}{
		"GET": {[]string{"/bytes/1000"}, 1, []string{"content-length: 1000"}},
		// PRIORITY frames for streams that are never opened come before the first request.
		"multiplexed": {[]string{"--multiply=100", "/bytes/1000"}, 100, []string{"content-length: 1000"}},
		// Windows of 2^10-1 bytes.
		"small windows": {[]string{"--window-bits=10", "--connection-window-bits=10", "--multiply=10", "/bytes/100000"}, 10, nil},
		"small tables":  {[]string{"--header-table-size=100", "--encoder-header-table-size=50", "--multiply=10", "/bytes/10"}, 10, nil},
		"padded":        {[]string{"--padding=255", "--data=" + path, "/echo"}, 1, []string{"x-bytes: 1048576"}},
		"upload":        {[]string{"--multiply=5", "--data=" + path, "/echo"}, 5, []string{"x-bytes: 1048576"}},
		"Expect":        {[]string{"--expect-continue", "--data=" + path, "/echo"}, 1, []string{"x-bytes: 1048576"}},
		"trailer":       {[]string{"--trailer=x-sent: yes", "--data=" + path, "/echo"}, 1, []string{"x-bytes: 1048576"}},
	} {
		for protocol, prefix := range originPaths {
			t.Run(name+" to "+protocol, func(t *testing.T) {
				last := len(test.args) - 1
				args := append([]string{"--null-out", "--verbose"}, test.args[:last]...)
				out := mustOutput(t, nghttp, append(args, "http://"+p.Address()+prefix+test.args[last])...)
				for _, line := range append([]string{":status: 200"}, test.want...) {
					expectReceived(t, out, line, test.n)
				}
				if name == "trailer" && protocol == "HTTP/2" {
					// A body of known length has no trailers in HTTP/1.
					expectReceived(t, out, "x-echoed: yes", test.n)
				}
			})
		}
	}
}

// refusedUploads is how often an upload is refused: how much of it comes before the answer differs each time.
const refusedUploads = 10

// TestNghttpRefused has uploads refused before they have come. What is left of them is not wanted, which the proxy says by
// RST_STREAM with NO_ERROR (RFC 9113 section 8.1): no failure to a client that has got the answer. (curl 7.88 takes it for one,
// from net/http's server too, so there is no such test of curl.)
func TestNghttpRefused(t *testing.T) {
	nghttp := installed(t, "nghttp")
	p := startWithOrigin(t)
	path, _ := upload(t)
	for range refusedUploads {
		out := mustOutput(t, nghttp, "--null-out", "--verbose", "--multiply=5", "--data="+path, "http://"+p.Address()+"/refused")
		expectReceived(t, out, ":status: 403", 5)
	}
}

// expectReceived fails when a field is not in the output of nghttp as often as it should be.
func expectReceived(t *testing.T, out, field string, n int) {
	t.Helper()
	got := 0
	for line := range strings.Lines(out) {
		if strings.Contains(line, " recv (stream_id=") && strings.HasSuffix(strings.TrimSpace(line), ") "+field) {
			got++
		}
	}
	if got != n {
		t.Errorf("%q was received %d times, want %d; nghttp wrote:\n%s", field, got, n, out)
	}
}

// startWithNghttpd starts a proxy before nghttpd, which has the file /small of 16 bytes, returns what is uploaded, and ends every
// response that has a body with the trailer x-end: yes.
func startWithNghttpd(t *testing.T) *process.Proxy {
	t.Helper()
	nghttpd := installed(t, "nghttpd")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "small"), pattern(16), 0o600); err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(process.FreeAddress(t))
	args := []string{"--no-tls", "--echo-upload", "--trailer=x-end: yes", "--address=" + address.Addr().String(), "--htdocs=" + dir}
	server := process.Run(t, process.Command{Path: nghttpd, Args: append(args, fmt.Sprint(address.Port()))})
	server.WaitListening(address.String())
	s := process.NewSetup()
	s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, address)}
	return s.Start(t)
}

func TestNghttpd(t *testing.T) {
	nghttp := installed(t, "nghttp")
	p := startWithNghttpd(t)
	path, body := upload(t)
	out := mustOutput(t, nghttp, "--verbose", "--null-out", "--multiply=100", "http://"+p.Address()+"/small")
	expectReceived(t, out, ":status: 200", 100)
	expectReceived(t, out, "x-end: yes", 100)
	if got := mustOutput(t, nghttp, "--data="+path, "http://"+p.Address()+"/echo"); got != string(body) {
		t.Errorf("the body is not as it was sent; it has %d bytes, want %d", len(got), len(body))
	}
}
