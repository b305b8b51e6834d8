package harness

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// The tests here set the client and the origin against an implementation of others, net/http, which must look right to the
// oracles, and find ours right.

// h2c are the protocols of a peer that speaks HTTP/2 without TLS only.
func h2c() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func serveHTTP(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, Protocols: h2c()}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

func TestH2ClientOfNetHTTP(t *testing.T) {
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-T")
		_, _ = w.Write(body)
		w.Header().Set("X-T", r.URL.Path)
	})
	c := DialH2Address(t, address)
	c.AnyCredit()
	body := pattern(1 << 20)
	var ids []uint32
	for i := range 5 {
		ids = append(ids, c.Post(fmt.Sprintf("/%d", i), body))
	}
	for i, id := range ids {
		resp := c.Response(id)
		if resp.Body != body || resp.Trailers.Get("x-t") != fmt.Sprintf("/%d", i) || len(resp.Informational) != 1 {
			t.Errorf("got %v", resp)
		}
	}
	if resp := c.Response(c.Request(true, H2Head("HEAD", "/")...)); resp.Status != 200 || resp.Body != "" {
		t.Errorf("HEAD: got %v", resp)
	}
	id := c.Request(false, H2Head("POST", "/")...)
	c.Data(id, false, "part")
	c.Reset(id, http2.ErrCodeCancel)
	c.RoundTrip()
	id = c.Get("/")
	c.Data(id, true, "late")
	for {
		if f := c.ReadFrame(); f.Type == http2.FrameRSTStream && f.StreamID == id || f.Type == http2.FrameGoAway {
			break
		}
	}
	c.ExpectOpen()
}

func TestH2OriginOfNetHTTP(t *testing.T) {
	o := NewH2Origin(t, anyCredit(H2Echo), http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 10},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100}, windows(1000))
	transport := &http.Transport{Protocols: h2c()}
	defer transport.CloseIdleConnections()
	body := []byte(pattern(1 << 18))
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "POST", fmt.Sprintf("http://%s/%d", o.Addr(), i), bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("X-Secret", strings.Repeat("s", i))
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := fmt.Sprintf("POST /%d %s", i, body); err != nil || string(got) != want {
				t.Errorf("got %d bytes and %v", len(got), err)
			}
		})
	}
	all.Wait()
	n := o.WaitCounts("40 requests", func(n H2Counts) bool { return n.Finished == 40 })
	if n.InFlight != 0 || n.Reset != 0 || n.MaxInFlight > 10*o.Connections() {
		t.Errorf("counts %+v on %d connections", n, o.Connections())
	}
}
