package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// maxStreams bounds Config.Streams: what an origin of the lab allows per connection.
const maxStreams = 1000

// Stalled is a set of HTTP/2 streams whose responses have begun and whose client lets
// no byte of a body through.
type Stalled struct {
	conns []*stalledConn
	group sync.WaitGroup
}

// stalledConn is one connection of them. Its session belongs to Stall and then to
// follow.
type stalledConn struct {
	session *session
	streams int
	begun   int          // responses whose header section has come
	lost    atomic.Int64 // streams that are no more
}

// Stall opens config.Connections connections with windows of 0 for each stream, makes
// config.Streams requests on each and returns when all responses have begun. It fails,
// holding nothing, when one does not begin with status 200 or does not wait for a
// window, and when ctx ends.
func Stall(ctx context.Context, config Config) (*Stalled, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.TLS {
		return nil, errors.New("TLS: package load stalls streams in cleartext only")
	}
	if config.Streams < 1 || config.Streams > maxStreams {
		return nil, fmt.Errorf("streams: %d is not in [1, %d]", config.Streams, maxStreams)
	}
	s := &Stalled{}
	for i := range config.Connections {
		c := newConn(config, i)
		held, err := stall(ctx, c, config)
		if err != nil {
			c.close()
			s.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, config.Connections, err)
		}
		s.conns = append(s.conns, held)
		s.group.Go(held.follow)
	}
	return s, nil
}

func stall(ctx context.Context, c *conn, config Config) (*stalledConn, error) {
	session, err := newSession(c, 0, time.Now().Add(Timeout))
	if err != nil {
		return nil, err
	}
	for i := range config.Streams {
		if err := session.get(uint32(1+2*i), config.Path); err != nil {
			return nil, err
		}
	}
	if err := session.flush(); err != nil {
		return nil, err
	}
	held := &stalledConn{session: session, streams: config.Streams}
	for held.begun < config.Streams {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := held.step(); err != nil {
			return nil, err
		}
		if held.lost.Load() > 0 {
			return nil, errors.New("a response ended or failed at its beginning")
		}
	}
	return held, c.tcp.SetDeadline(time.Time{})
}

// follow reads what the server has to say until the connection ends. Whatever streams
// there are then are lost.
func (c *stalledConn) follow() {
	for c.step() == nil {
	}
	c.lost.Store(int64(c.streams))
}

// step reads one frame. That of a body is an error: there is no window for it.
func (c *stalledConn) step() error {
	frame, err := c.session.next()
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		if status := f.PseudoValue("status"); status != "200" {
			return fmt.Errorf("stream %d: status %s, want 200", f.StreamID, status)
		}
		c.begun++
		if f.StreamEnded() {
			c.lost.Add(1)
		}
	case *http2.DataFrame:
		if f.Length > 0 {
			return fmt.Errorf("stream %d: %d bytes without a window", f.StreamID, f.Length)
		}
		if f.StreamEnded() {
			c.lost.Add(1)
		}
	case *http2.RSTStreamFrame:
		c.lost.Add(1)
	}
	return nil
}

// Lost returns how many of the streams the server has ended meanwhile.
func (s *Stalled) Lost() int {
	n := int64(0)
	for _, c := range s.conns {
		n += c.lost.Load()
	}
	return int(n)
}

// Close closes all connections.
func (s *Stalled) Close() {
	for _, c := range s.conns {
		c.session.conn.tcp.Close()
	}
	s.group.Wait()
}
