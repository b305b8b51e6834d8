package origin

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		path string
		size int
		ok   bool
	}{
		{"/16", 16, true}, {"/1k", 1024, true}, {"/64k", 64 << 10, true}, {"/1m", 1 << 20, true},
		{"/bytes/0", 0, true}, {"/bytes/123", 123, true}, {"/16m", 16 << 20, true}, {"/1g", MaxBody, true}, {"/bytes/1073741824", MaxBody, true},
		{"", 0, false}, {"/", 0, false}, {"/k", 0, false}, {"/bytes/", 0, false}, {"/bytes/1k", 0, false},
		{"/1025m", 0, false}, {"/2g", 0, false}, {"/bytes/1073741825", 0, false}, {"/99999999999999999999999", 0, false},
		{"/r0/16", 16, true}, {"/r9999/bytes/5", 5, true}, {"/r/16", 0, false}, {"/rx/16", 0, false}, {"/r1x/16", 0, false}, {"/r1", 0, false}, {"/r1/r2/16", 0, false},
		{"/-1", 0, false}, {"/1t", 0, false}, {"/16?x", 0, false}, {"16", 0, false},
	}
	for _, test := range tests {
		if size, ok := ParseSize([]byte(test.path)); size != test.size || ok != test.ok {
			t.Errorf("%q: got %d, %v, want %d, %v", test.path, size, ok, test.size, test.ok)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add([]byte("/64k"))
	f.Fuzz(func(t *testing.T, path []byte) {
		if n, ok := ParseSize(path); n < 0 || n > MaxBody || !ok && n != 0 {
			t.Errorf("%q: %d, %v", path, n, ok)
		}
	})
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, ln) }()
	base := "http://" + ln.Addr().String()
	for path, size := range map[string]int{"/16": 16, "/bytes/0": 0, "/64k": 64 << 10, "/1m": 1 << 20, "/33m": 33 << 20} {
		status, body := get(t, base+path)
		if status != 200 || len(body) != size || strings.Trim(body, "x") != "" {
			t.Errorf("%s: status %d, %d bytes, want %d", path, status, len(body), size)
		}
	}
	if status, _ := get(t, base+"/nothing"); status != 404 {
		t.Errorf("/nothing: status %d, want 404", status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
