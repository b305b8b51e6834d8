package load

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	server := serve(t, -1, nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-End")
		w.Header().Set("X-Seen", r.Proto+" "+r.Method+" "+r.Header.Get("X-A")+" "+string(body)+".")
		w.WriteHeader(418)
		hello(w, r)
		w.Header().Set("X-End", "end")
	})
	for _, test := range []struct {
		name string
		q    Question
		seen string
	}{
		{"HTTP/1.1", Question{Headers: []string{"x-a: b"}}, "HTTP/1.1 GET b ."},
		{"HTTP/2", Question{HTTP2: true, Headers: []string{"x-a:b"}}, "HTTP/2.0 GET b ."},
		{"body", Question{HTTP2: true, Body: []byte("ping")}, "HTTP/2.0 POST  ping."},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := test.q
			q.Address, q.Path = server.address(), "/"
			got, err := Probe(t.Context(), q, 10*time.Second)
			if err != nil || got.Status != 418 || string(got.Body) != "hello" || got.Header.Get("X-Seen") != test.seen {
				t.Errorf("got %+v, %v", got, err)
			}
			if got.Trailer.Get("X-End") != "end" {
				t.Errorf("trailers %v", got.Trailer)
			}
		})
	}
}

func TestProbeTLS(t *testing.T) {
	server := serveTLS(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.Proto)) })
	for _, http2 := range []bool{false, true} {
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		got, err := Probe(t.Context(), Question{TLS: true, HTTP2: http2, Address: server.address(), Path: "/"}, 10*time.Second)
		if err != nil || string(got.Body) != want || !strings.HasPrefix(got.TLS, "TLS 1.3, TLS_") || strings.Count(got.TLS, ", ") != 2 {
			t.Errorf("got %q by %q, %v, want %s", got.Body, got.TLS, err, want)
		}
	}
}

func TestProbeFails(t *testing.T) {
	large := serve(t, -1, nil, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, MaxProbeBody+1)) })
	slow := serve(t, -1, nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, q := range map[string]Question{
		"large":      {Address: large.address(), Path: "/"},
		"slow":       {Address: slow.address(), Path: "/", HTTP2: true},
		"no server":  {Address: "127.0.0.1:1", Path: "/"},
		"no address": {Address: "%", Path: "/"},
	} {
		if got, err := Probe(t.Context(), q, time.Second); err == nil {
			t.Errorf("%s: got status %d, want an error", name, got.Status)
		}
	}
}
