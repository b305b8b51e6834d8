package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

const (
	// readsPerTurn bounds what one connection reads before others have their turn.
	readsPerTurn = 16
	// slowBytes in slowEvery is what a slow client reads: a line of 3 Mbit/s.
	slowBytes = 4 << 10
	slowEvery = 10 * time.Millisecond
)

var errUnasked = errors.New("response to no request")

// http1Client is a connection of HTTP/1.1, opened by the first request and again by the first after it was closed.
type http1Client struct {
	d       *driver
	job     eventloop.Job
	pause   eventloop.Timer // after a failure, or of a slow client
	raw     *eventloop.Conn // nil while it is closed
	tls     *tls.Config     // nil for cleartext
	resumed bool
	slow    bool
	known   bool // that it is established

	waiting []int64 // when the requests in flight were due, the oldest first
	lost    int     // requests whose slots are released after the pause
	rest    []byte  // the beginning of a head
	current response
	left    int // bytes of the current body that are to come
}

// addHTTP1 makes connection k, which has as many slots as requests in flight.
func (d *driver) addHTTP1(k int) {
	config := d.shared.config
	c := &http1Client{d: d, slow: k < config.Slow}
	if config.TLS {
		c.tls = clientTLS(config.Resume)
	}
	for range max(1, config.Pipeline) {
		d.slots = append(d.slots, c)
	}
}

// send implements slot.
func (c *http1Client) send(due int64) {
	c.waiting = append(c.waiting, due)
	if c.raw == nil {
		if err := c.open(); err != nil {
			c.fail(stepConnect)
			return
		}
	}
	c.raw.Write(c.d.requests[c.d.next()])
}

func (c *http1Client) open() error {
	raw, err := c.d.loop.Dial(c.d.shared.server)
	if err != nil {
		return err
	}
	c.raw, c.known, c.resumed, c.rest, c.left = raw, false, false, c.rest[:0], 0
	if c.tls != nil {
		raw.Handshake(func(w *eventloop.Wire) (eventloop.Layer, error) {
			conn := tls.Client(w, c.tls)
			if err := conn.HandshakeContext(context.Background()); err != nil {
				return nil, err
			}
			if c.raw == raw {
				c.resumed = conn.ConnectionState().DidResume
			}
			return conn, nil
		})
	}
	c.job.Start(c.d.loop, c)
	raw.SetWaker(&c.job)
	return nil
}

// Step implements eventloop.Stepper.
func (c *http1Client) Step() {
	raw := c.raw
	if raw == nil || c.slow && c.pause.Set() {
		return
	}
	if !c.known {
		switch known, err := raw.Connected(); {
		case err != nil:
			c.fail(stepConnect)
			return
		case !known:
			return
		}
		c.known = true
	}
	for range readsPerTurn {
		into := c.d.buffer
		if c.slow {
			into = into[:slowBytes]
		}
		n, err := raw.Read(into)
		switch {
		case errors.Is(err, eventloop.ErrWouldBlock):
			return
		case err == io.EOF && len(c.waiting) == 0:
			c.close()
			return
		case err != nil:
			c.fail(stepRead)
			return
		}
		if err := c.consume(into[:n]); err != nil {
			c.fail(stepRead)
			return
		}
		if c.raw != raw {
			return
		}
		if c.slow {
			c.d.loop.SetTimer(&c.pause, slowEvery, c)
			return
		}
	}
	c.job.Wake()
}

// consume takes what was read.
func (c *http1Client) consume(b []byte) error {
	raw := c.raw
	for len(b) > 0 && c.raw == raw {
		if c.left > 0 {
			n := min(c.left, len(b))
			c.left -= n
			b = b[n:]
		} else {
			rest, whole, err := c.head(b)
			if err != nil || !whole {
				return err
			}
			b = rest
		}
		if c.left == 0 {
			c.answered()
		}
	}
	return nil
}

// head reads the head of a response from what is there, with what came before, and returns what follows it.
func (c *http1Client) head(b []byte) (rest []byte, whole bool, err error) {
	if len(c.waiting) == 0 {
		return nil, false, errUnasked
	}
	before := len(c.rest)
	if before > 0 {
		c.rest = append(c.rest, b...)
		b = c.rest
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(b) > readBuffer:
		return nil, false, errFields
	case end < 0:
		if before == 0 {
			c.rest = append(c.rest, b...)
		}
		return nil, false, nil
	}
	c.rest = c.rest[:0] // b may be its bytes, which stay as they are until a head is cut again
	if c.current, err = parseHead(b[:end+2]); err != nil {
		return nil, false, err
	}
	c.left = c.current.size
	return b[end+4:], true, nil
}

// answered ends the oldest request in flight.
func (c *http1Client) answered() {
	if !c.slow {
		c.d.record(c.waiting[0])
	}
	c.waiting = c.waiting[:copy(c.waiting, c.waiting[1:])]
	c.d.over(1)
	c.d.shared.answered(c.current.status, uint64(c.current.size), c.resumed)
	if c.d.shared.config.NewConnections || c.current.close {
		if n := len(c.waiting); n > 0 {
			c.fail(stepRead)
		} else {
			c.close()
		}
	}
	c.d.release(c)
}

// fail ends the connection, and with it all requests in flight. Others follow after a pause: a connection that fails is not to
// spin.
func (c *http1Client) fail(s step) {
	n := len(c.waiting)
	c.d.shared.failed(s, n)
	c.d.over(n)
	c.waiting = c.waiting[:0]
	c.lost += n
	c.close()
	c.d.loop.SetTimer(&c.pause, errorPause, c)
}

func (c *http1Client) close() {
	if c.raw != nil {
		c.job.Stop()
		c.raw.Close()
		c.raw = nil
	}
}

// Expired ends a pause. It implements eventloop.Expirer.
func (c *http1Client) Expired(*eventloop.Timer) {
	n := c.lost
	c.lost = 0
	for range n {
		c.d.release(c)
	}
	c.job.Wake()
}

// expire implements slot.
func (c *http1Client) expire(before int64) {
	if len(c.waiting) > 0 && c.waiting[0] < before {
		c.fail(stepTimeout)
	}
}
