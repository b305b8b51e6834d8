package acceptance

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// TestAdminDrain holds that POST /drain_listeners ends the connections of clients of HTTP/2 gracefully, in a process as it runs
// elsewhere: nobody can connect any more, streams that cross the warning are served, and those that are there finish.
func TestAdminDrain(t *testing.T) {
	for _, command := range []string{"/drain_listeners", "/drain_listeners?graceful"} {
		t.Run(command, func(t *testing.T) {
			origin := newHandOrigin(t)
			s := process.NewSetup()
			s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, origin.Addr())}
			s.HTTP()["drain_timeout"] = "2s"
			s.Args = []string{"--drain-time-s", "1"} // after which a graceful drain closes the listener
			p := s.Start(t)
			c := harness.DialH2Address(t, p.Address())
			first := c.Get("/first")
			held := origin.next()
			if got := p.Post(command); got != "OK\n" {
				t.Errorf("the answer is %q", got)
			}
			if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != noLastStream {
				t.Errorf("the warning names stream %d", last)
			}
			crossed := c.Get("/crossed")
			origin.next().answer()
			for deadline := time.Now().Add(harness.Guard); ; time.Sleep(time.Millisecond) { // workers come to the end one by one
				c, err := net.Dial("tcp", p.Address())
				if errors.Is(err, syscall.ECONNREFUSED) {
					break
				}
				if err == nil {
					_ = c.Close()
				}
				if time.Now().After(deadline) {
					t.Fatalf("a new connection: %v, want it refused", err)
				}
			}
			if r := c.Response(crossed); r.Body != "/crossed" {
				t.Errorf("a stream that crossed the warning got %v", r)
			}
			if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != crossed {
				t.Errorf("the last stream is %d, want %d", last, crossed)
			}
			held.answer()
			if r := c.Response(first); r.Body != "/first" {
				t.Errorf("got %v", r)
			}
			c.ExpectClosed()
		})
	}
}

// TestTerminationWaits holds that SIGTERM lets streams finish before the process ends, with status 0.
func TestTerminationWaits(t *testing.T) {
	origin := newHandOrigin(t)
	s := process.NewSetup()
	s.Clusters = []process.Fields{process.HTTP2Cluster(harness.ClusterName, nil, origin.Addr())}
	s.HTTP()["drain_timeout"] = "0.1s"
	s.Env = []string{"SHUTDOWN_TIMEOUT=20s"}
	p := s.Start(t)
	c := harness.DialH2Address(t, p.Address())
	id := c.Get("/last")
	held := origin.next()
	ended := make(chan error, 1)
	go func() { ended <- p.Stop() }()
	c.ExpectGoAway(http2.ErrCodeNo)
	c.ExpectGoAway(http2.ErrCodeNo)
	held.answer()
	if r := c.Response(id); r.Body != "/last" {
		t.Errorf("got %v", r)
	}
	c.ExpectClosed()
	c.Close()
	if err := <-ended; err != nil {
		t.Errorf("the process ended with %v", err)
	}
}
