package origin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Key and answer of RFC 6455 section 1.3.
const (
	rfcKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func TestAcceptValue(t *testing.T) {
	if got := acceptValue(rfcKey); got != rfcAccept {
		t.Errorf("got %s, want %s", got, rfcAccept)
	}
}

// peer is a WebSocket client that sends bytes as it is told.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func handshake(t *testing.T, server *Server, fields ...string) (*peer, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nhost: a\r\n%s\r\n\r\n", strings.Join(fields, "\r\n"))
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t, conn, r}, response
}

func connect(t *testing.T, server *Server) *peer {
	t.Helper()
	p, response := handshake(t, server, "connection: keep-alive, Upgrade", "upgrade: WebSocket", "sec-websocket-version: 13", "sec-websocket-key: "+rfcKey)
	if response.StatusCode != 101 || response.Header.Get("sec-websocket-accept") != rfcAccept ||
		!strings.EqualFold(response.Header.Get("upgrade"), "websocket") || !strings.EqualFold(response.Header.Get("connection"), "upgrade") {
		t.Fatalf("handshake answered %d %v", response.StatusCode, response.Header)
	}
	return p
}

// masked returns a client's frame.
func masked(head byte, payload string) []byte {
	server := appendFrame(nil, frame{payload: []byte(payload)})
	out := append([]byte{head, server[1] | maskBit}, server[2:len(server)-len(payload)]...)
	mask := []byte{1, 2, 3, 4}
	out = append(out, mask...)
	for i := range len(payload) {
		out = append(out, payload[i]^mask[i%4])
	}
	return out
}

func (p *peer) send(data []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(data); err != nil {
		p.t.Fatal(err)
	}
}

// want reads exactly a server's frame.
func (p *peer) want(f frame) {
	p.t.Helper()
	want := appendFrame(nil, f)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.r, got); err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("got %x (%v), want %x", truncate(got[:n]), err, truncate(want))
	}
}

func truncate(data []byte) []byte { return data[:min(len(data), 32)] }

// wantEnd reads the end of the connection.
func (p *peer) wantEnd() {
	p.t.Helper()
	if b, err := p.r.ReadByte(); !errors.Is(err, io.EOF) {
		p.t.Errorf("got byte %x, %v, want the end of the connection", b, err)
	}
}

func TestWebSocketEcho(t *testing.T) {
	p := connect(t, start(t, "blue"))
	for _, size := range []int{0, 1, 125, 126, 127, 0xffff, 0x10000, maxFramePayload} {
		payload := strings.Repeat("x", size)
		p.send(masked(0x82, payload))
		p.want(frame{true, opBinary, []byte(payload)})
	}
	p.send(append(masked(0x01, "he"), masked(0x89, "ping")...))
	p.want(frame{false, opText, []byte("he")})
	p.want(frame{true, opPong, []byte("ping")})
	p.send(append(masked(0x8a, "unsolicited"), masked(0x80, "llo")...))
	p.want(frame{true, opContinuation, []byte("llo")})
	p.send(masked(0x88, "\x03\xe8bye"))
	p.want(frame{true, opClose, []byte("\x03\xe8bye")})
	p.wantEnd()
}

func TestWebSocketProtocolErrors(t *testing.T) {
	server := start(t, "blue")
	for _, test := range []struct {
		name   string
		bytes  []byte
		code   uint16
		reason string
	}{
		{"unmasked", []byte{0x81, 0x00}, 1002, "unmasked frame of a client"},
		{"reserved bit", masked(0xc1, ""), 1002, "reserved bits without an extension"},
		{"opcode 3", masked(0x83, ""), 1002, "unknown opcode"},
		{"opcode 11", masked(0x8b, ""), 1002, "unknown opcode"},
		{"fragmented ping", masked(0x09, ""), 1002, "fragmented control frame"},
		{"long ping", masked(0x89, strings.Repeat("x", 126)), 1002, "control frame over 125 bytes"},
		{"continuation of nothing", masked(0x80, "x"), 1002, "frame out of sequence"},
		{"long form of 125", append([]byte{0x82, 0xfe, 0, 125, 0, 0, 0, 0}, make([]byte, 125)...), 1002, "length not in its shortest form"},
		{"longer form of 65535", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, 1002, "length not in its shortest form"},
		{"negative length", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1002, "length not in its shortest form"},
		{"too big", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0}, 1009, "frame of 1048577 bytes, more than 1048576"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := readFrame(bytes.NewReader(test.bytes), nil)
			if err == nil && f.opcode != opContinuation {
				t.Fatalf("read as %+v", f)
			}
			p := connect(t, server)
			p.send(test.bytes)
			want := appendClose(nil, test.code, test.reason)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(p.r, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q (%v), want %q", got, err, want)
			}
		})
	}
}

func TestWebSocketMessageInMessage(t *testing.T) {
	p := connect(t, start(t, "blue"))
	p.send(append(masked(0x01, "a"), masked(0x81, "b")...))
	p.want(frame{false, opText, []byte("a")})
	want := appendClose(nil, closeProtocolError, "frame out of sequence")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.r, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	server := start(t, "blue")
	valid := []string{"connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: " + rfcKey}
	for _, test := range []struct {
		name    string
		replace int
		with    string
		status  int
	}{
		{"no connection", 0, "x: y", 426},
		{"no upgrade", 1, "x: y", 426},
		{"other protocol", 1, "upgrade: h2c", 426},
		{"old version", 2, "sec-websocket-version: 8", 426},
		{"no key", 3, "x: y", 400},
		{"short key", 3, "sec-websocket-key: AAAA", 400},
		{"key not in base64", 3, "sec-websocket-key: " + strings.Repeat("!", 24), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields := append([]string(nil), valid...)
			fields[test.replace] = test.with
			_, response := handshake(t, server, fields...)
			if response.StatusCode != test.status {
				t.Errorf("got %d, want %d", response.StatusCode, test.status)
			}
			if test.status == 426 && response.Header.Get("upgrade") == "" && response.Header.Get("sec-websocket-version") == "" {
				t.Error("426 does not say what to upgrade to")
			}
		})
	}
}

func TestCloseEndsWebSockets(t *testing.T) {
	server, err := Start("127.0.0.1:0", "blue")
	if err != nil {
		t.Fatal(err)
	}
	p := connect(t, server)
	p.send(masked(0x81, "x"))
	p.want(frame{true, opText, []byte("x")})
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	p.wantEnd()
}

func TestReadFrameTruncated(t *testing.T) {
	whole := masked(0x82, strings.Repeat("x", 300))
	for n := range whole {
		if _, err := readFrame(bytes.NewReader(whole[:n]), nil); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("first %d bytes of a frame: %v", n, err)
		}
	}
}

// FuzzReadFrame checks that what is read is what a client sent: masked again, it gives the same bytes.
func FuzzReadFrame(f *testing.F) {
	f.Add(masked(0x81, "hello"))
	f.Add(masked(0x82, strings.Repeat("x", 126)))
	f.Add(masked(0x88, "\x03\xe8"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readFrame(bytes.NewReader(in), nil)
		if err != nil {
			return
		}
		if len(got.payload) > maxFramePayload {
			t.Fatalf("%d bytes of payload", len(got.payload))
		}
		head := appendFrame(nil, got)
		headSize := len(head) - len(got.payload)
		mask := in[headSize : headSize+4]
		again := append(append([]byte{head[0], head[1] | maskBit}, head[2:headSize]...), mask...)
		for i, b := range got.payload {
			again = append(again, b^mask[i%4])
		}
		if !bytes.HasPrefix(in, again) {
			t.Errorf("%x read as %+v", truncate(in), got)
		}
	})
}
