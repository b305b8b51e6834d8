package origin

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// startEcho serves the echo until the test ends and returns its address.
func startEcho(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- ServeEcho(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// TestEchoWhole asks for what is there at once.
func TestEchoWhole(t *testing.T) {
	base := "http://" + startEcho(t)
	for path, want := range map[string]int{"/16": 200, "/2m": 404, "/nothing": 404} {
		if status, body := get(t, base+path); status != want || path == "/16" && len(body) != 16 {
			t.Errorf("%s: status %d with %d bytes, want %d", path, status, len(body), want)
		}
	}
	for size, want := range map[int]int{1 << 10: 200, maxMessage: 200, maxMessage + 1: 400} {
		response, err := http.Post(base+"/1k", "text/plain", strings.NewReader(strings.Repeat("a", size)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != want || want == 200 && len(body) != size {
			t.Errorf("%d bytes: status %d with %d bytes, %v", size, response.StatusCode, len(body), err)
		}
		response.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestEchoMessages has each message come back before the next is sent.
func TestEchoMessages(t *testing.T) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for name, test := range map[string]struct{ last, status string }{
		"whole": {"\x00\x00\x00\x00\x02xx", "0"}, "cut": {"\x00\x00\x00\x00\x02x", "13"}, "cut prefix": {"\x00\x00", "13"}, "too large": {"\x00\xff\xff\xff\xff", "13"},
	} {
		body, write := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+startEcho(t)+"/a.B/C", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/grpc")
		const message = "\x00\x00\x00\x00\x03abc"
		go io.WriteString(write, message)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			got := make([]byte, len(message))
			if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != message {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			io.WriteString(write, message)
		}
		io.WriteString(write, test.last)
		write.Close()
		io.ReadAll(response.Body)
		if got := response.Trailer.Get("Grpc-Status"); got != test.status {
			t.Errorf("%s: grpc-status %q, want %s", name, got, test.status)
		}
		response.Body.Close()
	}
}

// TestReadFrame takes the mask off frames with each kind of length.
func TestReadFrame(t *testing.T) {
	long, longer := strings.Repeat("\x01\x02\x03\x04", 50), strings.Repeat("\x01\x02\x03\x04", 1<<15)
	mask := "\x01\x02\x03\x04"
	for name, test := range map[string]struct{ frame, want string }{
		"short":     {"\x82\x82" + mask + "\x01\x02", "\x82\x02\x00\x00"},
		"long":      {"\x82\xfe\x00\xc8" + mask + long, "\x82\x7e\x00\xc8" + strings.Repeat("\x00", 200)},
		"longer":    {"\x82\xff\x00\x00\x00\x00\x00\x02\x00\x00" + mask + longer, "\x82\x7f\x00\x00\x00\x00\x00\x02\x00\x00" + strings.Repeat("\x00", 1<<17)},
		"no mask":   {"\x82\x02ab", ""},
		"too large": {"\x82\xff\x7f\x00\x00\x00\x00\x00\x00\x00" + mask, ""},
		"cut":       {"\x82\x82" + mask + "\x01", ""},
		"no length": {"\x82\xfe\x00", ""},
	} {
		got, err := readFrame(bufio.NewReader(strings.NewReader(test.frame)), nil)
		if (err != nil) != (test.want == "") || err == nil && string(got) != test.want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x82\x82\x01\x02\x03\x04\x01\x02"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if frame, err := readFrame(bufio.NewReader(bytes.NewReader(text)), nil); err == nil && (len(frame) > len(text)-maskSize || frame[1]&maskBit != 0) {
			t.Errorf("%q: %q", text, frame)
		}
	})
}

// TestWebSocketAccept is the example of RFC 6455 section 1.3.
func TestWebSocketAccept(t *testing.T) {
	if got := WebSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %s", got)
	}
}
