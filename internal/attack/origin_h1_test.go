package attack

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// originH1 answers the requests of each connection in turn. A request whose connection ends is not there any more, however
// much of its time is left.
type originH1 struct {
	listener net.Listener
	wait     time.Duration
	answer   string
	running  sync.WaitGroup

	mu                  sync.Mutex // guards what follows
	conns               map[net.Conn]bool
	closed              bool
	requests, now, most int
}

func newOriginH1(t testing.TB, wait time.Duration, body string) *originH1 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &originH1{listener: l, wait: wait, answer: harness.OK(body), conns: make(map[net.Conn]bool)}
	o.running.Go(o.accept)
	t.Cleanup(o.close)
	return o
}

func (o *originH1) accept() {
	for {
		conn, err := o.listener.Accept()
		if err != nil {
			return
		}
		if !o.add(conn) {
			return
		}
		o.running.Go(func() {
			defer o.remove(conn)
			o.serve(conn)
		})
	}
}

// serve answers what a goroutine of its own reads, so that the end of the connection is seen while an answer waits.
func (o *originH1) serve(conn net.Conn) {
	heads := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(heads)
		for in := bufio.NewReader(conn); ; {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			o.count(1)
			heads <- struct{}{}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
		}
	})
	defer reading.Wait()
	defer conn.Close()
	for range heads {
		gone := false
		select {
		case <-time.After(o.wait):
		case _, more := <-heads:
			gone = !more
		}
		o.count(-1)
		if _, err := io.WriteString(conn, o.answer); gone || err != nil {
			return
		}
	}
}

func (o *originH1) add(conn net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		_ = conn.Close()
		return false
	}
	o.conns[conn] = true
	return true
}

func (o *originH1) remove(conn net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, conn)
}

func (o *originH1) close() {
	_ = o.listener.Close()
	o.mu.Lock()
	o.closed = true
	for conn := range o.conns {
		_ = conn.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

func (o *originH1) count(by int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests += max(by, 0)
	o.now += by
	o.most = max(o.most, o.now)
}

// Addr returns where the origin listens.
func (o *originH1) Addr() netip.AddrPort { return o.listener.Addr().(*net.TCPAddr).AddrPort() }

func (o *originH1) load() (requests, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.requests, o.most
}

func (o *originH1) inFlight() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}
