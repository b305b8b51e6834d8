package health

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound/bind"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// keeper dials a host, and keeps the connection from one probe to the next.
type keeper struct {
	address  config.Address
	reuse    bool
	tls      *tls.Upstream // nil for plaintext
	hostname string        // of the endpoint
	first    []byte        // what connections begin with, before TLS
	bind     *config.Bind  // where connections begin, nil for anywhere
	alpn     []string      // what is going to be spoken, where that has a name
	kept     *conn
}

// conn is a connection to a host.
type conn struct {
	net.Conn
	http2 *http2Conn // what is spoken on it, where that is HTTP/2; made by the first probe
}

// attempt is how a probe went on one connection.
type attempt struct {
	result
	reusable bool // another probe may follow on the connection
	// silent tells of a networkFailure before anything of an answer came.
	silent bool
}

// broken returns the attempt that err ended.
func broken(err error, silent bool) attempt {
	return attempt{result: result{outcome: networkFailure, why: err.Error()}, silent: silent}
}

// probe has speak make the probe on a kept connection, or on a new one. That the host has closed a kept connection since the
// last probe says nothing of how it is: then a new one is made.
func (k *keeper) probe(ctx context.Context, speak func(*conn) attempt) result {
	if k.kept != nil && !k.kept.quiet() {
		k.close()
	}
	if c := k.kept; c != nil {
		k.kept = nil
		if a := k.try(ctx, c, speak); !a.silent || ctx.Err() != nil {
			return a.result
		}
	}
	raw, err := k.tls.Dial(ctx, bind.Dialer(k.bind), k.address.Network(), k.address.String(), k.hostname, k.first, k.alpn, nil)
	if err != nil {
		return broken(err, true).result
	}
	return k.try(ctx, &conn{Conn: raw}, speak).result
}

// try makes the probe on c, which is closed or kept then.
func (k *keeper) try(ctx context.Context, c *conn, speak func(*conn) attempt) attempt {
	longAgo := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	a := speak(c)
	if stop() && a.reusable && k.reuse {
		k.kept = c
	} else {
		_ = c.Close()
	}
	return a
}

// quiet reports whether nothing has come since the last probe, not even the end. What a host says without being asked, as one
// of HTTP/1 that has waited for too long, must not be taken for the next answer. HTTP/2 tells such frames apart.
func (c *conn) quiet() bool {
	socket, ok := c.Conn.(syscall.Conn)
	if c.http2 != nil || !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
		return true // whatever it is, there is no waiting
	})
	return err == nil && quiet
}

// close closes the connection that is kept.
func (k *keeper) close() {
	if k.kept != nil {
		_ = k.kept.Close()
		k.kept = nil
	}
}
