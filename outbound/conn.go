package outbound

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// Dial opens a connection by dial, which may shake hands on it, to the host at address ("ip:port", or the path of a Unix domain
// socket), and counts it. It counts as established when Established is called for it.
func (k *Cluster) Dial(ctx context.Context, address string, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	if k == nil {
		return dial(ctx)
	}
	c := &conn{cluster: k, host: k.host(address), began: time.Now()}
	c.host.cxTotal.Add(1)
	c.host.cxActive.Add(1)
	k.scopes.Cluster.Inc(stats.ClusterUpstreamCxTotal)
	k.scopes.Cluster.Inc(stats.ClusterUpstreamCxActive)
	var err error
	if c.Conn, err = dial(ctx); err != nil {
		c.remote.Store(!isTimeout(err) && ctx.Err() == nil)
		c.failed(isTimeout(err))
		c.closed()
		return nil, err
	}
	return c, nil
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// Established notes that the connection with this local address, which may be under TLS, can be used, over HTTP/2 or else HTTP/1. It
// does nothing for addresses of other connections.
func Established(local net.Addr, http2 bool) {
	c := connAt(local)
	if c == nil || c.established.Swap(true) {
		return
	}
	scope := c.cluster.scopes.Cluster
	scope.Record(stats.ClusterUpstreamCxConnectMs, microseconds(c.began))
	if http2 {
		scope.Inc(stats.ClusterUpstreamCxHTTP2Total)
	} else {
		scope.Inc(stats.ClusterUpstreamCxHTTP1Total)
	}
}

// CountHandshake counts how hands were shaken on a connection, or that they were not for the reason err.
func (k *Cluster) CountHandshake(c tls.Conn, err error) {
	if k == nil || k.scopes.SSL == nil {
		return
	}
	_, network := errors.AsType[net.Error](err)
	tls.Count(k.scopes.SSL, c, err, network)
}

// conn is a connection that is counted.
type conn struct {
	net.Conn
	cluster     *Cluster
	host        *host
	began       time.Time
	requests    atomic.Int64 // in flight
	established atomic.Bool
	remote      atomic.Bool // the peer has ended it
	once        sync.Once   // of its end
}

// address is the local address of a conn, which so can be found from what is made on it.
type address struct {
	net.Addr
	conn *conn
}

// connAt returns the connection with this local address, nil for none that is counted.
func connAt(local net.Addr) *conn {
	if a, ok := local.(address); ok {
		return a.conn
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return address{c.Conn.LocalAddr(), c} }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.cluster.scopes.Cluster.Add(stats.ClusterUpstreamCxRxBytesTotal, uint64(n))
	c.ended(err)
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.cluster.scopes.Cluster.Add(stats.ClusterUpstreamCxTxBytesTotal, uint64(n))
	c.ended(err)
	return n, err
}

// ended takes note of an error that says that the peer has ended the connection. That this side closed it, or has waited for long
// enough, is none.
func (c *conn) ended(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) && !isTimeout(err) {
		c.remote.Store(true)
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		if !c.established.Load() {
			c.failed(false)
		}
		c.closed()
	})
	return err
}

// failed counts a connection that could not be made.
func (c *conn) failed(timeout bool) {
	c.host.cxConnectFail.Add(1)
	c.cluster.scopes.Cluster.Inc(stats.ClusterUpstreamCxConnectFail)
	if timeout {
		c.cluster.scopes.Cluster.Inc(stats.ClusterUpstreamCxConnectTimeout)
	}
}

// closed takes the connection off all counts.
func (c *conn) closed() {
	scope := c.cluster.scopes.Cluster
	c.host.cxActive.Add(^uint64(0))
	scope.Dec(stats.ClusterUpstreamCxActive)
	scope.Inc(stats.ClusterUpstreamCxDestroy)
	busy := c.requests.Load() > 0
	if busy {
		scope.Inc(stats.ClusterUpstreamCxDestroyWithActiveRq)
	}
	switch remote := c.remote.Load(); {
	case remote && busy:
		scope.Inc(stats.ClusterUpstreamCxDestroyRemoteWithActiveRq)
		fallthrough
	case remote:
		scope.Inc(stats.ClusterUpstreamCxDestroyRemote)
	case busy:
		scope.Inc(stats.ClusterUpstreamCxDestroyLocalWithActiveRq)
		fallthrough
	default:
		scope.Inc(stats.ClusterUpstreamCxDestroyLocal)
	}
	scope.Record(stats.ClusterUpstreamCxLengthMs, microseconds(c.began))
}

// microseconds returns how long ago began was.
func microseconds(began time.Time) uint64 { return uint64(time.Since(began).Microseconds()) }
