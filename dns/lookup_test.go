package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// guard bounds every wait of the tests. It is reached only by a test that has failed.
const guard = 30 * time.Second

// record is a record of the test's zone.
type record struct {
	ttl   uint32
	value string // an address, or a name for CNAME
}

// server answers on loopback, over UDP and TCP, what its zone says.
type server struct {
	t      *testing.T
	zone   map[string][]record // by name without the last dot
	tcp    bool                // answers over UDP are cut off
	udp    net.PacketConn
	stream net.Listener

	mu    sync.Mutex
	asked []string // "network name type"
}

func newServer(t *testing.T, zone map[string][]record, tcp bool) *server {
	t.Helper()
	s := &server{t: t, zone: zone, tcp: tcp}
	var err error
	if s.udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.stream, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var ends sync.WaitGroup
	ends.Go(s.serveUDP)
	ends.Go(s.serveTCP)
	t.Cleanup(func() {
		s.udp.Close()
		s.stream.Close()
		ends.Wait()
	})
	return s
}

// questions returns what it was asked.
func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// dial goes to the server, whichever the resolver wants.
func (s *server) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	if strings.HasPrefix(network, "tcp") {
		return d.DialContext(ctx, network, s.stream.Addr().String())
	}
	return d.DialContext(ctx, network, s.udp.LocalAddr().String())
}

func (s *server) serveUDP() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = s.udp.WriteTo(s.answer("udp", buf[:n], s.tcp), from)
	}
}

func (s *server) serveTCP() {
	for {
		conn, err := s.stream.Accept()
		if err != nil {
			return
		}
		func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(guard))
			var length [2]byte
			for {
				if _, err := io.ReadFull(conn, length[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, question); err != nil {
					return
				}
				answer := s.answer("tcp", question, false)
				message := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
				for _, b := range message { // a stream may be cut anywhere
					if _, err := conn.Write([]byte{b}); err != nil {
						return
					}
				}
			}
		}()
	}
}

// answer returns the message that answers a question.
func (s *server) answer(network string, question []byte, truncated bool) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		s.t.Errorf("question: %v", err)
		return nil
	}
	q, err := p.Question()
	if err != nil {
		s.t.Errorf("question: %v", err)
		return nil
	}
	name := strings.TrimSuffix(q.Name.String(), ".")
	s.mu.Lock()
	s.asked = append(s.asked, network+" "+name+" "+q.Type.String())
	s.mu.Unlock()
	records, known := s.zone[name]
	header.Response, header.Authoritative, header.RecursionAvailable, header.Truncated = true, true, true, truncated
	if !known {
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, header)
	b.EnableCompression()
	must(s.t, b.StartQuestions(), b.Question(q), b.StartAnswers())
	if !truncated {
		s.records(&b, q, q.Name, records)
	}
	message, err := b.Finish()
	must(s.t, err)
	return message
}

// records adds those that answer the question, after a CNAME those of the name it leads to.
func (s *server) records(b *dnsmessage.Builder, q dnsmessage.Question, name dnsmessage.Name, records []record) {
	for _, r := range records {
		head := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: r.ttl}
		ip, err := netip.ParseAddr(r.value)
		switch {
		case err != nil:
			to := dnsmessage.MustNewName(r.value + ".")
			must(s.t, b.CNAMEResource(head, dnsmessage.CNAMEResource{CNAME: to}))
			s.records(b, q, to, s.zone[r.value])
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			must(s.t, b.AResource(head, dnsmessage.AResource{A: ip.As4()}))
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			must(s.t, b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: ip.As16()}))
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestLookup(t *testing.T) {
	zone := map[string][]record{
		"one.test":     {{30, "192.0.2.1"}},
		"several.test": {{30, "192.0.2.1"}, {20, "192.0.2.2"}, {25, "2001:db8::1"}},
		"alias.test":   {{5, "one.test"}},
		"long.test":    {{1 << 30, "192.0.2.3"}},
		"zero.test":    {{0, "192.0.2.4"}},
		"minus.test":   {{1<<32 - 1, "192.0.2.5"}},
	}
	tests := []struct {
		network, name string
		found         string
		ttl           time.Duration
	}{
		{"ip", "one.test", "192.0.2.1", 30 * time.Second},
		{"ip", "several.test", "192.0.2.1 192.0.2.2 2001:db8::1", 20 * time.Second},
		{"ip6", "several.test", "2001:db8::1", 25 * time.Second},
		{"ip4", "alias.test", "192.0.2.1", 5 * time.Second},
		{"ip4", "long.test", "192.0.2.3", 1 << 30 * time.Second},
		{"ip4", "zero.test", "192.0.2.4", 0},
		{"ip4", "minus.test", "192.0.2.5", 0},
		{"ip4", "198.51.100.1", "198.51.100.1", 0},
	}
	for _, overTCP := range []bool{false, true} {
		s := newServer(t, zone, overTCP)
		for _, tc := range tests {
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			name := tc.name
			if _, err := netip.ParseAddr(name); err != nil {
				name += "." // so that no search domain of this machine is tried
			}
			addresses, ttl, err := lookup(ctx, s.dial, tc.network, name)
			cancel()
			if err != nil {
				t.Errorf("%s %s, over TCP %v: %v", tc.network, tc.name, overTCP, err)
				continue
			}
			var found []string
			for _, a := range addresses {
				found = append(found, a.Unmap().String())
			}
			slices.Sort(found)
			if got := strings.Join(found, " "); got != tc.found || ttl != tc.ttl {
				t.Errorf("%s %s, over TCP %v: %s for %v, want %s for %v", tc.network, tc.name, overTCP, got, ttl, tc.found, tc.ttl)
			}
		}
		if used := slices.ContainsFunc(s.questions(), func(q string) bool { return strings.HasPrefix(q, "tcp") }); used != overTCP {
			t.Errorf("TCP was used: %v, want %v", used, overTCP)
		}
	}
}

func TestLookupFails(t *testing.T) {
	s := newServer(t, nil, false)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	found, ttl, err := lookup(ctx, s.dial, "ip", "none.test.")
	var e *net.DNSError
	if found != nil || ttl != 0 || !errors.As(err, &e) || !e.IsNotFound {
		t.Errorf("%v for %v, %v, want no such host", found, ttl, err)
	}
	failed := errors.New("no way")
	_, _, err = lookup(ctx, func(context.Context, string, string) (net.Conn, error) { return nil, failed }, "ip", "none.test.")
	if err == nil {
		t.Error("a lookup without a way to a server has succeeded")
	}
}

// TestLookupHosts holds that the machine's own names need no server.
func TestLookupHosts(t *testing.T) {
	s := newServer(t, nil, false)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	found, ttl, err := lookup(ctx, s.dial, "ip4", "localhost")
	if err != nil || ttl != 0 || len(found) == 0 || !found[0].Unmap().IsLoopback() || len(s.questions()) != 0 {
		t.Errorf("localhost is %v for %v, %v, after asking %q", found, ttl, err, s.questions())
	}
}

// FuzzTake holds that no message makes reading it fail, in whatever pieces it comes.
func FuzzTake(f *testing.F) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	name := dnsmessage.MustNewName("a.test.")
	_ = b.StartQuestions()
	_ = b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET})
	_ = b.StartAnswers()
	_ = b.AResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 7}, dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
	message, err := b.Finish()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message, uint16(3))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, message []byte, cut uint16) {
		if len(message) > 1<<16-1 {
			return
		}
		var whole, pieces lifetimes
		whole.take(message)
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)
			at := min(int(cut), len(framed))
			_, _ = far.Write(framed[:at])
			_, _ = far.Write(framed[at:])
		}()
		if _, err := io.Copy(io.Discard, &streamConn{Conn: near, lifetimes: &pieces}); err != nil {
			t.Fatal(err)
		}
		if whole.shortest() != pieces.shortest() {
			t.Errorf("%v as a whole, %v in pieces", whole.shortest(), pieces.shortest())
		}
	})
}
