package inspect_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/listener/inspect"
)

// errSeen ends a handshake of crypto/tls.
var errSeen = errors.New("seen")

// recorded is a connection that keeps what is written and cannot be read.
type recorded struct {
	net.Conn
	written bytes.Buffer
}

func (r *recorded) Write(b []byte) (int, error) { return r.written.Write(b) }
func (r *recorded) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorded) Close() error                { return nil }

// clientHello returns the record that a client of crypto/tls sends first.
func clientHello(c *tls.Config) []byte {
	var r recorded
	_ = tls.Client(&r, c).HandshakeContext(context.Background())
	return r.written.Bytes()
}

// played is a connection that has b to read and takes everything.
type played struct {
	net.Conn
	*bytes.Reader
}

func (p played) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p played) Write(b []byte) (int, error) { return len(b), nil }
func (p played) Close() error                { return nil }
func (p played) RemoteAddr() net.Addr        { return nil }

// oracle has crypto/tls read the hello, and returns what it sees, nil when it does not take it for one.
func oracle(b []byte) (seen *tls.ClientHelloInfo) {
	_ = tls.Server(played{Reader: bytes.NewReader(b)}, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		seen = info
		return nil, errSeen
	}}).HandshakeContext(context.Background())
	return seen
}

// protocols splits a list of protocols.
func protocols(list []byte) (names []string) {
	for len(list) > 0 {
		n := int(list[0])
		names, list = append(names, string(list[1:1+n])), list[1+n:]
	}
	return names
}

// split cuts the content of a record into records of n bytes.
func split(record []byte, n int) (all []byte) {
	for part := range slices.Chunk(record[5:], n) {
		all = append(append(all, record[0], record[1], record[2], byte(len(part)>>8), byte(len(part))), part...)
	}
	return all
}

func TestHello(t *testing.T) {
	long := make([]string, 40)
	for i := range long {
		long[i] = strings.Repeat("p", 200) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	plain := clientHello(&tls.Config{ServerName: "Api.Example.COM", NextProtos: []string{"h2", "http/1.1"}})
	for _, tt := range []struct {
		name       string
		hello      []byte
		serverName string
		protocols  []string
	}{
		{"name and protocols", plain, "api.example.com", []string{"h2", "http/1.1"}},
		{"no protocols", clientHello(&tls.Config{ServerName: "a.test"}), "a.test", nil},
		{"an address is no name", clientHello(&tls.Config{ServerName: "127.0.0.1", NextProtos: []string{"h2"}}), "", []string{"h2"}},
		{"TLS 1.2", clientHello(&tls.Config{ServerName: "a.test", MaxVersion: tls.VersionTLS12}), "a.test", nil},
		{"many protocols", clientHello(&tls.Config{ServerName: "a.test", NextProtos: long}), "a.test", long},
		{"records of 1 byte", split(plain, 1), "api.example.com", []string{"h2", "http/1.1"}},
		{"records of 100 bytes", split(plain, 100), "api.example.com", []string{"h2", "http/1.1"}},
		{"more follows", append(slices.Clone(plain), "early data"...), "api.example.com", []string{"h2", "http/1.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var byByte inspect.Hello
			for n := 0; ; n++ {
				verdict := byByte.Inspect(tt.hello[:n], inspect.DefaultMaxHello)
				if verdict == inspect.Found {
					break
				}
				if verdict != inspect.More || n == len(tt.hello) {
					t.Fatalf("after %d of %d bytes: %d", n, len(tt.hello), verdict)
				}
				var whole inspect.Hello
				if whole.Inspect(tt.hello[:n], inspect.DefaultMaxHello) != inspect.More {
					t.Fatalf("%d of %d bytes at once are enough", n, len(tt.hello))
				}
			}
			var whole inspect.Hello
			if verdict := whole.Inspect(tt.hello, inspect.DefaultMaxHello); verdict != inspect.Found {
				t.Fatalf("all at once: %d", verdict)
			}
			for _, h := range []*inspect.Hello{&byByte, &whole} {
				if string(h.ServerName) != tt.serverName || !slices.Equal(protocols(h.Protocols), tt.protocols) {
					t.Errorf("got %q and %q, want %q and %q", h.ServerName, protocols(h.Protocols), tt.serverName, tt.protocols)
				}
			}
		})
	}
}

// handshake returns a record with a ClientHello of the given extensions.
func handshake(extensions string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00" + string([]byte{byte(len(extensions) >> 8), byte(len(extensions))}) + extensions
	message := "\x01\x00" + string([]byte{byte(len(body) >> 8), byte(len(body))}) + body
	return "\x16\x03\x01" + string([]byte{byte(len(message) >> 8), byte(len(message))}) + message
}

func TestHelloRefused(t *testing.T) {
	hello := string(clientHello(&tls.Config{ServerName: "a.test"}))
	for _, tt := range []struct {
		name, data string
		want       inspect.Verdict
	}{
		{"nothing", "", inspect.More},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", inspect.Other},
		{"SSLv2", "\x80\x2e\x01\x00\x02", inspect.Other},
		{"an alert", "\x15\x03\x01\x00\x02\x01\x00", inspect.Other},
		{"another major version", "\x16\x04", inspect.Other},
		{"an empty record", "\x16\x03\x01\x00\x00", inspect.Other},
		{"a record that is too long", "\x16\x03\x01\x40\x01", inspect.Other},
		{"a ServerHello", "\x16\x03\x01\x00\x10\x02", inspect.Other},
		{"a hello that is too long", "\x16\x03\x01\x00\x04\x01\x00\x40\x01", inspect.TooLarge},
		{"something else between the records", string(split([]byte(hello), 50)[:55]) + "\x17\x03\x03", inspect.Other},
		{"no extensions, but more bytes", strings.Replace(handshake(""), "\x01\x00\x00\x00", "\x01\x00\x00\x05", 1), inspect.Other},
		{"an extension that is too long", handshake("\x00\x00\x00\x05abc"), inspect.Other},
		{"an empty list of names", handshake("\x00\x00\x00\x02\x00\x00"), inspect.Other},
		{"an empty name", handshake("\x00\x00\x00\x05\x00\x03\x00\x00\x00"), inspect.Other},
		{"a name with NUL", handshake("\x00\x00\x00\x06\x00\x04\x00\x00\x01\x00"), inspect.Other},
		{"a name that is cut", handshake("\x00\x00\x00\x06\x00\x04\x00\x00\x09a"), inspect.Other},
		{"two lists of names", handshake("\x00\x00\x00\x06\x00\x04\x00\x00\x01a\x00\x00\x00\x06\x00\x04\x00\x00\x01b"), inspect.Other},
		{"a name of another kind", handshake("\x00\x00\x00\x06\x00\x04\x07\x00\x01a"), inspect.Found},
		{"an empty protocol", handshake("\x00\x10\x00\x03\x00\x01\x00"), inspect.Other},
		{"no protocols", handshake("\x00\x10\x00\x02\x00\x00"), inspect.Other},
		{"two lists of protocols", handshake("\x00\x10\x00\x05\x00\x03\x02h2\x00\x10\x00\x05\x00\x03\x02h2"), inspect.Other},
		{"an unknown extension", handshake("\x12\x34\x00\x01x"), inspect.Found},
	} {
		var h inspect.Hello
		if got := h.Inspect([]byte(tt.data), inspect.DefaultMaxHello); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
	var h inspect.Hello
	if got := h.Inspect([]byte(hello[:256]), 256); got != inspect.TooLarge {
		t.Errorf("256 bytes that are not whole, where that is the limit: %d", got)
	}
}

// lowerASCII is strings.ToLower for bytes that need not be UTF-8.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// FuzzHello holds that it does not matter in what pieces the bytes come, and that crypto/tls sees the same names in what both
// take for a hello.
func FuzzHello(f *testing.F) {
	hello := clientHello(&tls.Config{ServerName: "a.test", NextProtos: []string{"h2"}})
	f.Add(hello, byte(20))
	f.Add(split(hello, 7), byte(1))
	f.Add([]byte(handshake("\x00\x00\x00\x06\x00\x04\x00\x00\x01a")), byte(9))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		const limit = 4096
		var whole, parts inspect.Hello
		want, got := whole.Inspect(data, limit), inspect.More
		for n := 0; got == inspect.More && n < len(data); {
			n = min(len(data), n+max(1, int(step)))
			got = parts.Inspect(data[:n], limit)
		}
		if want == inspect.TooLarge || got == inspect.TooLarge {
			return // it depends on the pieces where the limit is noticed
		}
		if got != want || !bytes.Equal(whole.ServerName, parts.ServerName) || !bytes.Equal(whole.Protocols, parts.Protocols) {
			t.Fatalf("in pieces %d %q %q, at once %d %q %q", got, parts.ServerName, parts.Protocols, want, whole.ServerName, whole.Protocols)
		}
		if seen := oracle(data); want == inspect.Found && seen != nil {
			if name := lowerASCII(seen.ServerName); name != strings.TrimSuffix(string(whole.ServerName), ".") || !slices.Equal(seen.SupportedProtos, protocols(whole.Protocols)) {
				t.Errorf("got %q and %q, crypto/tls sees %q and %q", whole.ServerName, protocols(whole.Protocols), name, seen.SupportedProtos)
			}
		}
	})
}
