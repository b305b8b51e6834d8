package health

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// rawHost is the host's end of an HTTP/2 connection, frame by frame.
type rawHost struct {
	t *testing.T
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

// newRawHost takes the preface. It returns nil when none comes.
func newRawHost(t *testing.T, c net.Conn) *rawHost {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return nil
	}
	if string(preface) != http2.ClientPreface {
		t.Errorf("the preface is %q", preface)
	}
	h := &rawHost{t: t, Framer: http2.NewFramer(c, c)}
	h.encoder = hpack.NewEncoder(&h.block)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return h
}

// rawOrigin starts an origin of raw HTTP/2. The script is called for each request, with the end of the stream seen.
func rawOrigin(t *testing.T, script func(h *rawHost, stream uint32)) *origin {
	return newOrigin(t, func(o *origin, c net.Conn, _ int) {
		h := newRawHost(t, c)
		for h != nil {
			stream, head, body := h.request()
			if stream == 0 {
				return
			}
			o.note(head + body)
			script(h, stream)
		}
	})
}

// request reads a whole request: its fields, a line each, and its body. Stream 0 means that the connection has ended.
func (h *rawHost) request() (stream uint32, head, body string) {
	for {
		frame, err := h.ReadFrame()
		if err != nil {
			return 0, "", ""
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				head += field.Name + ": " + field.Value + "\n"
			}
			stream, ended = f.StreamID, f.StreamEnded()
		case *http2.DataFrame:
			body += string(f.Data())
			ended = f.StreamEnded()
		}
		if ended {
			return stream, head, body
		}
	}
}

// fields encodes names and values.
func (h *rawHost) fields(pairs ...string) []byte {
	h.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return h.block.Bytes()
}

// head writes a HEADERS frame.
func (h *rawHost) head(stream uint32, last bool, pairs ...string) {
	_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.fields(pairs...), EndHeaders: true, EndStream: last})
}

func http2Check(change func(*config.HTTPHealthCheck)) *config.HealthCheck {
	check := httpCheck(change)
	check.HTTP.HTTP2 = true
	return check
}

// TestHTTP2Server asks a server of another make.
func TestHTTP2Server(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Envoy-Degraded", "1")
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.URL.Path, r.UserAgent(), body)
	})
	connections := 0
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections++ // on the goroutine that accepts
		}
	}
	s.Start()
	check := http2Check(func(c *config.HTTPHealthCheck) {
		c.Method, c.Path, c.Host, c.Send = "POST", "/health", "of.all", bytes.Repeat([]byte("ping"), 30<<10)
		c.Receive = [][]byte{[]byte("POST of.all /health Envoy/HC ping")}
	})
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	e := &config.Endpoint{Address: config.Address{IP: at.Addr().String(), Port: uint32(at.Port())}}
	p := newProber(&config.Cluster{Name: "k", HealthCheck: check}, e, nil, nil, nil)
	for range 3 {
		wantOutcome(t, p, degraded)
	}
	p.close()
	s.Close()
	if connections != 1 {
		t.Errorf("%d connections were made, want 1", connections)
	}
}

func TestHTTP2Request(t *testing.T) {
	o := rawOrigin(t, func(h *rawHost, stream uint32) { h.head(stream, true, ":status", "200") })
	p := o.prober(http2Check(func(c *config.HTTPHealthCheck) {
		c.Method, c.Path, c.Send = "PUT", "/a b", []byte("ping")
		c.Headers = []config.HeaderValue{{Name: "x-long", Value: strings.Repeat("v", frameBytes)}, {Name: "y", Value: "z"}}
	}))
	wantOutcome(t, p, passed)
	want := ":method: PUT\n:scheme: http\n:authority: k\n:path: /a b\nuser-agent: Envoy/HC\nx-long: " +
		strings.Repeat("v", frameBytes) + "\ny: z\ncontent-length: 4\nping"
	if got := strings.Join(o.notes(), "|"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestHTTP2Answers scripts what hosts do. Where the connection is kept, two probes take one; else two.
func TestHTTP2Answers(t *testing.T) {
	const ok = "\x88" // :status 200 of the static table
	huge := bytes.Repeat([]byte("x"), frameBytes)
	for _, tc := range []struct {
		name   string
		script func(h *rawHost, stream uint32)
		want   outcome
		kept   bool
	}{
		{"head alone", func(h *rawHost, s uint32) { h.head(s, true, ":status", "200") }, passed, true},
		{"another status", func(h *rawHost, s uint32) { h.head(s, true, ":status", "404") }, failed, true},
		{"degraded", func(h *rawHost, s uint32) { h.head(s, true, ":status", "200", "x-envoy-degraded", "") }, degraded, true},
		{"informational first", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "103", "link", "x")
			h.head(s, true, ":status", "200")
		}, passed, true},
		{"body and trailers", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			_ = h.WriteData(s, false, []byte("body"))
			h.head(s, true, "x", "y")
		}, passed, true},
		{"in continuations", func(h *rawHost, s uint32) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: []byte(ok), EndStream: true})
			_ = h.WriteContinuation(s, false, nil)
			_ = h.WriteContinuation(s, true, h.fields("a", "b"))
		}, passed, true},
		{"among other frames", func(h *rawHost, s uint32) {
			_ = h.WritePing(false, [8]byte{1})
			_ = h.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
			_ = h.WriteSettingsAck()
			_ = h.WritePriority(s+2, http2.PriorityParam{})
			_ = h.WriteWindowUpdate(0, 1)
			_ = h.WriteRawFrame(0xbe, 0, s, []byte("unknown"))
			h.head(s, true, ":status", "200")
		}, passed, true},
		{"a body that takes more than the windows", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			for range 10 {
				_ = h.WriteData(s, false, huge)
			}
			_ = h.WriteData(s, true, nil)
		}, passed, true},
		{"a body that is longer than what is kept", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			for range config.MaxHealthResponseBytes/frameBytes + 1 {
				_ = h.WriteData(s, false, huge)
			}
		}, passed, false},
		{"GOAWAY after the answer has begun", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			_ = h.WriteGoAway(s, http2.ErrCodeNo, nil)
			_ = h.WriteData(s, true, nil)
		}, passed, false},
		{"GOAWAY that leaves the request out", func(h *rawHost, s uint32) { _ = h.WriteGoAway(0, http2.ErrCodeNo, nil) }, networkFailure, false},
		{"reset", func(h *rawHost, s uint32) { _ = h.WriteRSTStream(s, http2.ErrCodeInternal) }, networkFailure, false},
		{"reset after the head", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			_ = h.WriteRSTStream(s, http2.ErrCodeNo)
		}, networkFailure, false},
		{"DATA before the head", func(h *rawHost, s uint32) { _ = h.WriteData(s, true, []byte("x")) }, networkFailure, false},
		{"no status", func(h *rawHost, s uint32) { h.head(s, true, "a", "b") }, networkFailure, false},
		{"a malformed status", func(h *rawHost, s uint32) { h.head(s, true, ":status", "2OO") }, networkFailure, false},
		{"a malformed name", func(h *rawHost, s uint32) { h.head(s, true, ":status", "200", "A", "b") }, networkFailure, false},
		{"two heads", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200")
			h.head(s, false, ":status", "200")
		}, networkFailure, false},
		{"informational alone", func(h *rawHost, s uint32) { h.head(s, true, ":status", "103") }, networkFailure, false},
		{"too long a head", func(h *rawHost, s uint32) {
			h.head(s, true, ":status", "200", "a", strings.Repeat("x", maxProbeHead))
		}, networkFailure, false},
		{"too long a frame", func(h *rawHost, s uint32) { _ = h.WriteRawFrame(http2.FrameData, 0, s, append(huge, 'x')) }, networkFailure, false},
		{"a pushed stream", func(h *rawHost, s uint32) {
			_ = h.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, BlockFragment: []byte(ok), EndHeaders: true})
		}, networkFailure, false},
		{"a window that is too large", func(h *rawHost, s uint32) { _ = h.WriteWindowUpdate(0, 1<<31-1) }, networkFailure, false},
		{"a block that is no HPACK", func(h *rawHost, s uint32) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: s, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		}, networkFailure, false},
		{"frames without end", func(h *rawHost, s uint32) {
			for range maxFrames {
				if h.WriteRawFrame(0xbe, 0, 0, nil) != nil {
					return
				}
			}
		}, networkFailure, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := rawOrigin(t, tc.script)
			p := o.prober(http2Check(nil))
			wantOutcome(t, p, tc.want)
			wantOutcome(t, p, tc.want)
			want := 2
			if tc.kept {
				want = 1
			}
			o.wantConnections(want)
		})
	}
}

// TestHTTP2SmallWindow has a body go out as windows of a few bytes allow, opened by WINDOW_UPDATE and by SETTINGS. The first
// request goes out before the host has said anything of windows.
func TestHTTP2SmallWindow(t *testing.T) {
	o := newOrigin(t, func(o *origin, c net.Conn, _ int) {
		h := newRawHost(t, c)
		_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		body := ""
		for {
			frame, err := h.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.MetaHeadersFrame:
				body = ""
				if f.StreamID > 1 {
					_ = h.WriteWindowUpdate(f.StreamID+2, 100) // of no stream
					_ = h.WriteWindowUpdate(f.StreamID, 3)
				}
			case *http2.DataFrame:
				body += string(f.Data())
				o.note(string(f.Data()))
				switch {
				case f.StreamEnded():
					h.head(f.StreamID, true, ":status", "200")
				case len(body) < 6:
					_ = h.WriteWindowUpdate(f.StreamID, 3)
				default:
					_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
				}
			}
		}
	})
	p := o.prober(http2Check(func(c *config.HTTPHealthCheck) { c.Method, c.Send = "PUT", []byte("0123456789") }))
	wantOutcome(t, p, passed)
	wantOutcome(t, p, passed)
	if got := strings.Join(o.notes(), " "); got != "0123456789 012 345 6789" {
		t.Errorf("the bodies came as %q", got)
	}
	o.wantConnections(1)
}

// TestHTTP2EarlyAnswer has a host answer before it has let the whole body come: the connection is not used again.
func TestHTTP2EarlyAnswer(t *testing.T) {
	o := newOrigin(t, func(o *origin, c net.Conn, _ int) {
		h := newRawHost(t, c)
		for {
			frame, err := h.ReadFrame()
			if err != nil {
				return
			}
			if f, ok := frame.(*http2.MetaHeadersFrame); ok {
				h.head(f.StreamID, true, ":status", "200")
			}
		}
	})
	body := bytes.Repeat([]byte("x"), defaultWindow+1)
	p := o.prober(http2Check(func(c *config.HTTPHealthCheck) { c.Method, c.Send = "PUT", body }))
	wantOutcome(t, p, passed)
	wantOutcome(t, p, passed)
	o.wantConnections(2)
}

// TestHTTP2ClosedMeanwhile holds that a host which ends a kept connection in any way between two probes has not failed.
func TestHTTP2ClosedMeanwhile(t *testing.T) {
	for name, end := range map[string]func(h *rawHost, s uint32, c net.Conn){
		"closed":  func(*rawHost, uint32, net.Conn) {},
		"GOAWAY":  func(h *rawHost, s uint32, _ net.Conn) { _ = h.WriteGoAway(s, http2.ErrCodeNo, nil) },
		"refused": func(h *rawHost, s uint32, _ net.Conn) { _ = h.WriteRSTStream(s+2, http2.ErrCodeRefusedStream) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, func(_ *origin, c net.Conn, _ int) {
				h := newRawHost(t, c)
				if h == nil {
					return
				}
				stream, _, _ := h.request()
				if stream == 0 {
					return
				}
				h.head(stream, true, ":status", "200")
				if name == "refused" {
					if stream, _, _ = h.request(); stream == 0 {
						return
					}
					stream -= 2
				}
				end(h, stream, c)
			})
			p := o.prober(http2Check(nil))
			for range 4 {
				wantOutcome(t, p, passed)
			}
			o.wantConnections(4)
		})
	}
}

// TestHTTP2Split has the frames of an answer come in two parts, split anywhere, and cut anywhere.
func TestHTTP2Split(t *testing.T) {
	var sent bytes.Buffer
	h := &rawHost{Framer: http2.NewFramer(&sent, nil)}
	h.encoder = hpack.NewEncoder(&h.block)
	_ = h.WriteSettings()
	h.head(1, false, ":status", "200", "x-envoy-degraded", "1")
	_ = h.WriteData(1, false, []byte("ok"))
	h.head(1, true, "a", "b")
	text := sent.String()
	check := http2Check(func(c *config.HTTPHealthCheck) { c.Receive = [][]byte{[]byte("ok")} }).HTTP
	for at := 1; at < len(text); at++ {
		for _, cut := range []bool{false, true} {
			a := overPipe(t, newHTTP2Prober(keeper{}, check, "k").speak, func(c net.Conn) {
				drained := make(chan struct{})
				h := newRawHost(t, c)
				go func() {
					defer close(drained)
					for {
						if _, err := h.ReadFrame(); err != nil {
							return
						}
					}
				}()
				if cut {
					_, _ = c.Write([]byte(text[:at]))
					_ = c.Close()
				} else {
					inTwo(c, text, at)
				}
				<-drained
			})
			want := degraded
			if cut {
				want = networkFailure
			}
			if a.outcome != want || a.reusable == cut {
				t.Errorf("at %d, cut %v: %s (%s), reusable %v", at, cut, a.outcome, a.why, a.reusable)
			}
		}
	}
}

// FuzzHTTP2Answer feeds a probe any bytes.
func FuzzHTTP2Answer(f *testing.F) {
	var sent bytes.Buffer
	h := &rawHost{Framer: http2.NewFramer(&sent, nil)}
	h.encoder = hpack.NewEncoder(&h.block)
	_ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7})
	_ = h.WritePing(false, [8]byte{})
	h.head(1, false, ":status", "200")
	_ = h.WriteData(1, true, []byte("ok"))
	f.Add(sent.Bytes())
	sent.Reset()
	_ = h.WriteGoAway(1, http2.ErrCodeNo, []byte("why"))
	_ = h.WriteWindowUpdate(1, 5)
	_ = h.WriteRSTStream(1, http2.ErrCodeCancel)
	f.Add(sent.Bytes())
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := &conn{Conn: &canned{in: bytes.NewReader(answer)}}
		check := http2Check(func(c *config.HTTPHealthCheck) { c.Method, c.Send = "PUT", []byte("ping") }).HTTP
		a := newHTTP2Prober(keeper{}, check, "k").speak(c)
		if len(c.http2.stream.body) > config.MaxHealthResponseBytes {
			t.Errorf("%d bytes of body are kept", len(c.http2.stream.body))
		}
		if a.outcome == passed && c.http2.stream.status != 200 {
			t.Errorf("passed with status %d", c.http2.stream.status)
		}
	})
}

// canned is a connection whose other side has said all it will, and takes everything.
type canned struct {
	net.Conn
	in io.Reader
}

func (c *canned) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return len(p), nil }
