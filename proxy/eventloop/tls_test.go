package eventloop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// exchange is what a client says in TestTLSAtEverySplit, and hears back.
const exchange = "a question that fits one record"

// converse is a client's side of the exchange.
func converse(wire *tapWire, config *tls.Config) error {
	conn := tls.Client(wire, config)
	if _, err := conn.Write([]byte(exchange)); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	all, err := io.ReadAll(conn)
	if err == nil && string(all) != exchange {
		err = fmt.Errorf("heard %q", all)
	}
	return err
}

// echoOnce sends back what comes, and ends when the peer does. It notes how reading ended.
func echoOnce(end *error) readyFunc {
	return func(c *Conn) {
		for b := make([]byte, 7); *end == nil && c.Readable(); {
			n, err := c.Read(b)
			c.Write(b[:n])
			if err != nil && err != ErrWouldBlock {
				*end = err
				c.ShutdownWrite()
			}
		}
	}
}

// splitExchange runs the exchange with the client's bytes in two pieces, cut at an offset of all that it sends. It returns
// how much that is.
func splitExchange(t *testing.T, client, server *tls.Config, split int) int {
	t.Helper()
	s := newSteppedLoop(t)
	c, fd := s.pair()
	var end error
	c.SetIdleHandler(echoOnce(&end))
	c.Handshake(serverLayer(server))
	wire := newTapWire(t, fd)
	done := make(chan error, 1)
	go func() { done <- converse(wire, client) }()
	sent, over := 0, false
	var err error
	s.until("the exchange ends", func() bool {
		select {
		case b := <-wire.out:
			if at := split - sent; at > 0 && at < len(b) {
				give(t, fd, b[:at])
				s.step()
				s.step()
				give(t, fd, b[at:])
			} else {
				give(t, fd, b)
			}
			sent += len(b)
		case err = <-done:
			over = true
		default:
		}
		return over
	})
	if err != nil || end != io.EOF || !c.EOF() || c.Err() != nil {
		t.Fatalf("split at %d: the client %v, the server's reads end with %v", split, err, end)
	}
	c.Close()
	return sent
}

// TestTLSAtEverySplit cuts a client's bytes in two at every offset of its ClientHello and of its records, the last of which
// is close_notify.
func TestTLSAtEverySplit(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, server := tlsPair(t, version)
		client.CurvePreferences = []tls.CurveID{tls.X25519}
		step := 1
		if raceEnabled || version == tls.VersionTLS12 { // where it takes long, and where the records are the same
			step = 7
		}
		for split, sent := 1, 2; split < sent; split += step {
			sent = splitExchange(t, client, server, split)
		}
		// With a share of X25519MLKEM768 the ClientHello is longer than a segment of Ethernet.
		client.CurvePreferences = nil
		for split, sent := 1, 2; split < sent; split += 97 * step {
			sent = splitExchange(t, client, server, split)
		}
	}
}

// TestTLSByteByByte has every byte of the client come alone.
func TestTLSByteByByte(t *testing.T) {
	client, server := tlsPair(t, tls.VersionTLS13)
	s := newSteppedLoop(t)
	c, fd := s.pair()
	var end error
	c.SetIdleHandler(echoOnce(&end))
	c.Handshake(serverLayer(server))
	wire := newTapWire(t, fd)
	done := make(chan error, 1)
	go func() { done <- converse(wire, client) }()
	over := false
	var err error
	s.until("the exchange ends", func() bool {
		select {
		case b := <-wire.out:
			for i := range b {
				give(t, fd, b[i:i+1])
				s.step()
			}
		case err = <-done:
			over = true
		default:
		}
		return over
	})
	if err != nil || end != io.EOF {
		t.Errorf("the client %v, the server's reads end with %v", err, end)
	}
}

// TestTLSTruncated tells the end that the peer marks from one that anybody can make, after whole records and parts of them.
func TestTLSTruncated(t *testing.T) {
	closeNotify := []byte{1, 0}
	for name, test := range map[string]struct {
		last func(p *rawPeer) []byte // the last bytes
		want error
	}{
		"close_notify":              {func(p *rawPeer) []byte { return p.out.seal(alertContent, closeNotify) }, io.EOF},
		"nothing":                   {func(*rawPeer) []byte { return nil }, ErrTruncated},
		"a part of a head":          {func(p *rawPeer) []byte { return p.out.seal(dataContent, []byte("lost"))[:3] }, ErrTruncated},
		"a part of a record":        {func(p *rawPeer) []byte { return p.out.seal(dataContent, []byte("lost"))[:20] }, ErrTruncated},
		"a part of close_notify":    {func(p *rawPeer) []byte { return p.out.seal(alertContent, closeNotify)[:20] }, ErrTruncated},
		"close_notify in cleartext": {func(*rawPeer) []byte { return append([]byte{alertContent, 3, 3, 0, 2}, closeNotify...) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newRawPeer(t)
			p.say(dataContent, []byte("whole"))
			give(t, p.fd, test.last(p))
			if err := unix.Shutdown(p.fd, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			p.step()
			got, err := p.read()
			switch {
			case got != "whole":
				t.Errorf("read %q", got)
			case test.want == nil && (err == nil || err == io.EOF || err == ErrWouldBlock):
				t.Errorf("read ends with %v, as if it were a mark of the end", err)
			case test.want != nil && !errors.Is(err, test.want):
				t.Errorf("read ends with %v, want %v", err, test.want)
			}
			if p.conn.EOF() != (test.want == io.EOF) || (p.conn.Err() == nil) != (test.want == io.EOF) {
				t.Errorf("an end: %t, %v", p.conn.EOF(), p.conn.Err())
			}
		})
	}
}

// TestTLSKeyUpdate changes the peer's keys, and ours when it asks for that, between records.
func TestTLSKeyUpdate(t *testing.T) {
	p := newRawPeer(t)
	for round := range 40 { // each is forgotten once data comes
		asked := round%2 == 1
		message := keyUpdate
		if asked {
			message = keyUpdateRequested
		}
		p.say(handshakeContent, message)
		p.out = p.out.next(t)
		p.say(dataContent, []byte("new keys"))
		if got, err := p.read(); got != "new keys" || err != ErrWouldBlock {
			t.Fatalf("round %d: read %q, %v", round, got, err)
		}
		p.conn.Write([]byte("answer"))
		p.step()
		if asked {
			if kind, content, ok := p.hear(); !ok || kind != handshakeContent || !bytes.Equal(content, keyUpdate) {
				t.Fatalf("round %d: the answer to a KeyUpdate is %d, %x", round, kind, content)
			}
			p.in = p.in.next(t)
		}
		if kind, content, ok := p.hear(); !ok || kind != dataContent || string(content) != "answer" {
			t.Fatalf("round %d: heard %d, %q", round, kind, content)
		}
	}
}

// TestTLSAfterKeyUpdate ends a connection whose peer goes on with its old keys, be it in the same record or the next
// (RFC 8446 section 5.1).
func TestTLSAfterKeyUpdate(t *testing.T) {
	for name, last := range map[string]func(p *rawPeer){
		"in the same record":  func(p *rawPeer) { p.say(handshakeContent, slices.Concat(keyUpdate, keyUpdate)) },
		"asked in the same":   func(p *rawPeer) { p.say(handshakeContent, slices.Concat(keyUpdateRequested, keyUpdateRequested)) },
		"a part in the same":  func(p *rawPeer) { p.say(handshakeContent, slices.Concat(keyUpdate, keyUpdate[:2])) },
		"in the next record":  func(p *rawPeer) { p.say(handshakeContent, keyUpdate); p.say(dataContent, []byte("old keys")) },
		"no KeyUpdate at all": func(p *rawPeer) { p.say(handshakeContent, []byte{24, 0, 0, 1, 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newRawPeer(t)
			last(p)
			got, err := p.read()
			if got != "" || err == nil || err == io.EOF || err == ErrWouldBlock || p.conn.Err() == nil {
				t.Errorf("read %q, %v; the connection: %v", got, err, p.conn.Err())
			}
		})
	}
}

// TestTLSKeyUpdateWithoutData ends a connection whose peer does nothing but change its keys.
func TestTLSKeyUpdateWithoutData(t *testing.T) {
	p := newRawPeer(t)
	const most = 1000
	for n := range most {
		p.say(handshakeContent, keyUpdateRequested)
		p.out = p.out.next(t)
		if _, err := p.read(); err != ErrWouldBlock {
			if !strings.Contains(err.Error(), "too many") || p.conn.Err() == nil {
				t.Errorf("after %d: %v", n+1, err)
			}
			return
		}
	}
	t.Errorf("%d are borne with", most)
}

// TestTLSKeyUpdateFlood bounds what is gathered for a peer that asks for new keys, sends data between so that it does not
// stand out, and never reads the answers.
func TestTLSKeyUpdateFlood(t *testing.T) {
	p := newRawPeer(t)
	most := 0
	for n := range 1 << 20 {
		var batch []byte
		for range 8 {
			batch = append(batch, p.out.seal(handshakeContent, keyUpdateRequested)...)
			p.out = p.out.next(t)
		}
		give(t, p.fd, append(batch, p.out.seal(dataContent, []byte("x"))...))
		p.step()
		_, err := p.read()
		p.step()
		most = max(most, p.conn.Buffered())
		if err != ErrWouldBlock {
			if !errors.Is(err, errUnread) || p.conn.Err() == nil {
				t.Errorf("after %d batches: %v", n+1, err)
			}
			break
		}
		if most > 2*maxUnsentReplies || n == 20_000 {
			t.Fatalf("after %d batches there are %d bytes gathered, and the peer is not cut off", n+1, most)
		}
	}
	if most > maxUnsentReplies+ReadBufferSize {
		t.Errorf("%d bytes are gathered", most)
	}
}

// TestTLSBulk moves 8 MiB in each direction at once, in whatever pieces, through peers that are slower than each other by
// turns.
func TestTLSBulk(t *testing.T) {
	const total = 8 << 20
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, server := tlsPair(t, version)
		l := startLoop(t, Options{})
		served := make(chan error, 1)
		address := serveTLS(t, l, server, func(task *Task, c *Conn) { served <- echoAll(task, c) })
		conn := tls.Client(dial(t, address), client)
		sent := make(chan error, 1)
		go func() {
			b := make([]byte, 100_000)
			for offset := 0; offset < total; {
				n := min(len(b)-offset%7919, total-offset)
				pattern(b[:n], offset)
				if _, err := conn.Write(b[:n]); err != nil {
					sent <- err
					return
				}
				offset += n
			}
			sent <- conn.CloseWrite()
		}()
		b := make([]byte, 60_000)
		got := 0
		var err error
		for err == nil {
			var n int
			n, err = conn.Read(b)
			if bad := checkPattern(b[:n], got); bad != nil {
				t.Fatal(bad)
			}
			got += n
		}
		if got != total || err != io.EOF {
			t.Errorf("%d bytes came back, then %v", got, err)
		}
		if err := receive(t, sent); err != nil {
			t.Error(err)
		}
		if err := receive(t, served); err != nil {
			t.Error(err)
		}
	}
}

// echoAll sends back all that comes, and gathers no more than a bound.
func echoAll(task *Task, c *Conn) error {
	b := make([]byte, 30_000)
	for {
		n, err := c.Read(b)
		c.Write(b[:n])
		switch {
		case errors.Is(err, ErrWouldBlock):
			task.Park()
		case err == io.EOF:
			c.ShutdownWrite()
			waitBelow(task, c, 1)
			return c.WriteErr()
		case err != nil:
			return err
		}
		waitBelow(task, c, 256<<10)
	}
}
