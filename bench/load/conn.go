package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readBuffer holds a header section of the size a proxy of the lab sends;
	// bodies pass through it unseen.
	readBuffer = 8 << 10
	// perSource is how many connections share one source address: well below the
	// 28,000 ephemeral ports that an address has towards one destination by
	// default, so that ports in TIME_WAIT leave room.
	perSource = 8192
)

type step string

const (
	stepConnect step = "connect"
	stepWrite   step = "write"
	stepRead    step = "read"
	stepTimeout step = "timeout"
)

// stepError says at which step an exchange failed.
type stepError struct {
	step step
	err  error
}

func (e *stepError) Error() string { return fmt.Sprintf("%s: %v", e.step, e.err) }
func (e *stepError) Unwrap() error { return e.err }

// conn is one client connection, opened by its first exchange and again by the
// first after close. It is used by one goroutine.
type conn struct {
	address string
	source  net.IP
	tls     *tls.Config // nil for cleartext
	tcp     net.Conn
	stream  net.Conn // what is written to and read from: tcp, or TLS on it
	resumed bool     // stream goes on with a session of TLS
	reader  *bufio.Reader
}

// newConn makes connection i of config.
func newConn(config Config, i int) *conn {
	c := &conn{address: config.Address, source: source(i)}
	if config.TLS {
		c.tls = clientTLS(config.Resume)
	}
	return c
}

// source returns the loopback address that connection i comes from.
func source(i int) net.IP {
	return net.IPv4(127, 0, 0, byte(1+i/perSource))
}

// exchange sends request and reads its response whole. A connection that failed
// must be closed before the next exchange.
func (c *conn) exchange(request []byte, deadline time.Time) (response, error) {
	if err := c.open(deadline); err != nil {
		return response{}, &stepError{stepConnect, err}
	}
	if err := c.tcp.SetDeadline(deadline); err != nil {
		return response{}, &stepError{stepConnect, err}
	}
	if _, err := c.stream.Write(request); err != nil {
		return response{}, &stepError{stepWrite, err}
	}
	answer, err := readResponse(c.reader)
	if err != nil {
		return response{}, &stepError{stepRead, err}
	}
	return answer, nil
}

func (c *conn) open(deadline time.Time) error {
	if c.tcp != nil {
		return nil
	}
	dialer := net.Dialer{
		Deadline:       deadline,
		LocalAddr:      &net.TCPAddr{IP: c.source},
		KeepAlive:      -1,
		ControlContext: portAtConnect,
	}
	tcp, err := dialer.Dial("tcp4", c.address)
	if err != nil {
		return err
	}
	stream, resumed, err := secure(tcp, c.tls, deadline)
	if err != nil {
		tcp.Close()
		return err
	}
	c.tcp, c.stream, c.resumed = tcp, stream, resumed
	if c.reader == nil {
		c.reader = bufio.NewReaderSize(stream, readBuffer)
	}
	c.reader.Reset(stream)
	return nil
}

// portAtConnect leaves the choice of the local port to connect, which has the whole
// range for every destination and finds a port fast; bind would search for one that
// is free towards all (ip(7), IP_BIND_ADDRESS_NO_PORT).
func portAtConnect(_ context.Context, _, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(err, failed)
}

func (c *conn) close() {
	if c.tcp != nil {
		c.stream.Close()
		c.tcp, c.stream = nil, nil
	}
}

// appendRequest appends the head of the request that config asks for: a GET, or a POST where a body of so many bytes follows.
func appendRequest(b []byte, config Config, body int) []byte {
	method := "GET "
	if body > 0 {
		method = "POST "
	}
	b = append(b, method...)
	b = append(b, config.Path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, config.Address...)
	b = append(b, "\r\n"...)
	for _, h := range config.Headers {
		b = append(b, strings.NewReplacer("\r", "", "\n", "").Replace(h)...)
		b = append(b, "\r\n"...)
	}
	if body > 0 {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", body)
	}
	if config.NewConnections {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}
