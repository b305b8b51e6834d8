package origin

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestServeMirror(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeMirror(ctx, ln) }()
	for _, http2 := range []bool{false, true} {
		for _, contentType := range []string{"text/plain", "application/grpc"} {
			checkMirror(t, ln.Addr().String(), http2, contentType)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	ln.Close()
	if err := ServeMirror(t.Context(), ln); err == nil {
		t.Error("a closed listener: want an error")
	}
}

func checkMirror(t *testing.T, address string, http2 bool, contentType string) {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	defer transport.CloseIdleConnections()
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/x?y", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {contentType}, "X-A": {"1", "2"}, "User-Agent": {"test"}}
	resp, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	protocol := "HTTP/1.1"
	if http2 {
		protocol = "HTTP/2.0"
	}
	want := "POST /x?y " + protocol + "\ncontent-length: 4\ncontent-type: " + contentType +
		"\nhost: " + address + "\nuser-agent: test\nx-a: 1\nx-a: 2\n"
	if err != nil || string(body) != want {
		t.Errorf("got %q, %v, want %q", body, err, want)
	}
	status := ""
	if contentType == "application/grpc" {
		status = "0"
	}
	if got := resp.Trailer.Get("Grpc-Status"); got != status {
		t.Errorf("%s: grpc-status %q, want %q", contentType, got, status)
	}
}
