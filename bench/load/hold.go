package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// openers is how many connections are being opened at once: few enough not to
// overflow a listen backlog of 128.
const openers = 64

// Held is a set of open, idle keep-alive connections.
type Held struct {
	conns []*conn
}

// Hold opens config.Connections connections, makes one request on each and keeps
// them open and idle. It fails, holding nothing, at the first that fails or is
// not answered 200, and when ctx ends. How long and how many requests config says is
// of no account.
func Hold(ctx context.Context, config Config) (*Held, error) {
	config.NewConnections, config.Resume = false, false
	if err := config.check(); err != nil {
		return nil, err
	}
	if config.TLS && config.HTTP2 {
		return nil, errors.New("HTTP/2 under TLS: package load holds it in cleartext only")
	}
	h := &Held{conns: make([]*conn, config.Connections)}
	for i := range h.conns {
		h.conns[i] = newConn(config, i)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	greet := config.greeting()
	for range min(openers, config.Connections) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(h.conns) {
					return
				}
				if err := greet(h.conns[i]); err != nil {
					cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(h.conns), err))
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		h.Close()
		return nil, context.Cause(ctx)
	}
	return h, nil
}

// greeting returns what makes the first request of a connection.
func (c Config) greeting() func(*conn) error {
	if c.HTTP2 {
		return func(conn *conn) error { return conn.greetHTTP2(c.Path) }
	}
	request := appendRequest(nil, c, 0)
	return func(conn *conn) error { return conn.greet(request) }
}

// greet makes the first request of an idle connection.
func (c *conn) greet(request []byte) error {
	resp, err := c.exchange(request, time.Now().Add(Timeout))
	switch {
	case err != nil:
		return err
	case resp.status != 200:
		return fmt.Errorf("status %d, want 200", resp.status)
	case resp.close:
		return errors.New("server closes the connection, want keep-alive")
	}
	c.reader = nil // an idle connection needs no buffer here either
	return nil
}

// Closed returns how many of the connections the server has closed, or sent
// something on, meanwhile. It does not wait.
func (h *Held) Closed() int {
	n := 0
	for _, c := range h.conns {
		if !c.idle() {
			n++
		}
	}
	return n
}

// idle says whether the connection is open and has nothing to read. It asks the
// kernel, as a read with a deadline that has passed would not get that far.
func (c *conn) idle() bool {
	tcp, ok := c.tcp.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	idle := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		idle = err == syscall.EAGAIN
	})
	return err == nil && idle
}

// Close closes all connections.
func (h *Held) Close() {
	for _, c := range h.conns {
		c.close()
	}
}
