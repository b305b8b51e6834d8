package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// originPaths are the prefixes of paths by the protocol that is spoken to the origin.
var originPaths = map[string]string{"HTTP/1": "/one", "HTTP/2": "/two"}

// startWithOrigin starts a proxy before an origin that speaks HTTP/1 and HTTP/2, by originPaths. Below either prefix
//
//	/bytes/N  has a body of N bytes, as pattern gives them
//	/echo     has the body of the request, as it comes, and trailers: x-bytes, how many those were, and x-echoed, the trailer
//	          x-sent of the request
func startWithOrigin(t *testing.T) *process.Proxy {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/{protocol}/bytes/{n}", serveBytes)
	mux.HandleFunc("/{protocol}/echo", serveEcho)
	origin := serveHTTP(t, mux)
	s := process.NewSetup()
	trailers := process.Fields{"explicit_http_config": process.Fields{"http_protocol_options": process.Fields{"enable_trailers": true}}}
	s.Clusters = []process.Fields{
		process.WithHTTPOptions(process.Cluster("one", origin), trailers), process.HTTP2Cluster("two", nil, origin),
	}
	s.Listeners[0].Routes = []process.Fields{process.Route("/one/", "one"), process.Route("/two/", "two"), process.Direct("/refused", 403, refusal)}
	return s.Start(t)
}

// refusal is the body of what the proxy itself answers at /refused, with status 403, before it has read the request's body.
const refusal = "not here"

// serveHTTP serves HTTP/1 and HTTP/2 with prior knowledge by net/http, until the test ends.
func serveHTTP(t *testing.T, handler http.Handler) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func serveBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = w.Write(pattern(n))
}

func serveEcho(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 has it anyway, and says that there is no such thing
	w.Header().Set("Trailer", "x-bytes, x-echoed")
	n, err := io.Copy(w, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("x-bytes", fmt.Sprint(n))
	w.Header().Set("x-echoed", r.Trailer.Get("x-sent"))
}

// uploadSize is what clients upload: more than any window that is not opened again.
const uploadSize = 1 << 20

// upload returns the path of a file to upload, and what is in it.
func upload(t *testing.T) (path string, body []byte) {
	t.Helper()
	path, body = filepath.Join(t.TempDir(), "upload"), pattern(uploadSize)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, body
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pattern returns n bytes that repeat nowhere at a power of 2.
func pattern(n int) []byte { return bytes.Repeat([]byte("0123456789\n"), n/11+1)[:n] }
