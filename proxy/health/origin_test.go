package health

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// guard bounds what a test waits for; it is far above what anything here takes.
const guard = 20 * time.Second

// origin is a scripted host on a port of 127.0.0.1. Its script runs once for every connection.
type origin struct {
	t        *testing.T
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	got   []string // what scripts noted
}

// newOrigin starts an origin. The number that its script is given counts connections from 0.
func newOrigin(t *testing.T, script func(o *origin, c net.Conn, number int)) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{t: t, listener: l}
	o.running.Go(func() {
		for number := 0; ; number++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(guard))
			o.mu.Lock()
			o.conns = append(o.conns, c)
			o.mu.Unlock()
			o.running.Go(func() {
				defer c.Close()
				script(o, c, number)
			})
		}
	})
	t.Cleanup(o.close)
	return o
}

func (o *origin) close() {
	_ = o.listener.Close()
	o.mu.Lock()
	for _, c := range o.conns {
		_ = c.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

// note keeps a text for the test.
func (o *origin) note(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, text)
}

func (o *origin) notes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.got...)
}

func (o *origin) connections() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.conns)
}

// endpoint returns the origin as an endpoint.
func (o *origin) endpoint() *config.Endpoint {
	a := netip.MustParseAddrPort(o.listener.Addr().String())
	return &config.Endpoint{Address: config.Address{IP: a.Addr().String(), Port: uint32(a.Port())}}
}

// prober returns a prober of the origin, as an endpoint of cluster "k", which is closed with the test.
func (o *origin) prober(check *config.HealthCheck) prober {
	p := newProber(&config.Cluster{Name: "k", HealthCheck: check}, o.endpoint(), nil, nil, nil)
	o.t.Cleanup(p.close)
	return p
}

// ask makes a probe.
func ask(t *testing.T, p prober) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	r := p.probe(ctx)
	if ctx.Err() != nil {
		t.Fatalf("the probe took longer than %v: %s", guard, r.why)
	}
	return r
}

// wantOutcome compares the outcome of a probe and returns why it was so.
func wantOutcome(t *testing.T, p prober, want outcome) string {
	t.Helper()
	r := ask(t, p)
	if r.outcome != want {
		t.Errorf("%s (%s), want %s", r.outcome, r.why, want)
	}
	return r.why
}

// wantConnections compares how many connections came to the origin.
func (o *origin) wantConnections(want int) {
	o.t.Helper()
	if got := o.connections(); got != want {
		o.t.Errorf("%d connections were made, want %d", got, want)
	}
}

// readUntil reads from c until what came ends with end.
func readUntil(c net.Conn, end string) (string, error) {
	var got []byte
	one := make([]byte, 1)
	for len(got) < len(end) || string(got[len(got)-len(end):]) != end {
		if _, err := c.Read(one); err != nil {
			return string(got), err
		}
		got = append(got, one[0])
	}
	return string(got), nil
}

// overPipe makes a probe over a pipe, whose writes are each seen alone by the other side, where serve is the host.
func overPipe(t *testing.T, speak func(*conn) attempt, serve func(c net.Conn)) attempt {
	t.Helper()
	ours, theirs := net.Pipe()
	deadline := time.Now().Add(guard)
	_, _ = ours.SetDeadline(deadline), theirs.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(theirs)
	}()
	a := speak(&conn{Conn: ours})
	_ = ours.Close()
	<-done
	return a
}

// inTwo writes text in two parts.
func inTwo(c net.Conn, text string, at int) {
	_, _ = c.Write([]byte(text[:at]))
	_, _ = c.Write([]byte(text[at:]))
}

// refusing returns an endpoint where nobody listens.
func refusing(t *testing.T) *config.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint32(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	return &config.Endpoint{Address: config.Address{IP: "127.0.0.1", Port: port}}
}

// checks of each kind, for what is the same whatever is spoken.
func everyKind() map[string]*config.HealthCheck {
	http1 := &config.HTTPHealthCheck{Path: "/", Method: "GET", ResponseBytes: 1024, Expected: []config.StatusRange{{Start: 200, End: 201}}}
	http2 := *http1
	http2.HTTP2 = true
	return map[string]*config.HealthCheck{
		"TCP":    {Timeout: guard, ReuseConnection: true, TCP: &config.TCPHealthCheck{Receive: [][]byte{[]byte("x")}}},
		"HTTP/1": {Timeout: guard, ReuseConnection: true, HTTP: http1},
		"HTTP/2": {Timeout: guard, ReuseConnection: true, HTTP: &http2},
		"gRPC":   {Timeout: guard, ReuseConnection: true, GRPC: &config.GRPCHealthCheck{}},
	}
}

func TestRefusedConnection(t *testing.T) {
	for kind, check := range everyKind() {
		t.Run(kind, func(t *testing.T) {
			p := newProber(&config.Cluster{Name: "k", HealthCheck: check}, refusing(t), nil, nil, nil)
			defer p.close()
			wantOutcome(t, p, networkFailure)
		})
	}
}

// TestClosedConnection holds that a host that closes without a word failed, after one attempt.
func TestClosedConnection(t *testing.T) {
	for kind, check := range everyKind() {
		t.Run(kind, func(t *testing.T) {
			o := newOrigin(t, func(_ *origin, c net.Conn, _ int) { _, _ = c.Read(make([]byte, 1024)) })
			if check.TCP != nil {
				check.TCP.Send = []byte("?")
			}
			wantOutcome(t, o.prober(check), networkFailure)
			o.wantConnections(1)
		})
	}
}

// TestSilentHost holds that a probe ends with its context, wherever it is.
func TestSilentHost(t *testing.T) {
	for kind, check := range everyKind() {
		t.Run(kind, func(t *testing.T) {
			accepted := make(chan struct{}, 1)
			o := newOrigin(t, func(_ *origin, c net.Conn, _ int) {
				accepted <- struct{}{}
				_, _ = readUntil(c, "never")
			})
			p := o.prober(check)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-accepted
				cancel()
			}()
			if r := p.probe(ctx); r.outcome != networkFailure {
				t.Errorf("%s (%s), want %s", r.outcome, r.why, networkFailure)
			}
			o.wantConnections(1)
		})
	}
}

// TestEndpointOverrides holds where a probe goes and what it calls the host there.
func TestEndpointOverrides(t *testing.T) {
	o := newOrigin(t, answerAll(okResponse))
	e := o.endpoint()
	e.HealthCheck = config.EndpointHealthCheck{IP: e.Address.IP, Port: e.Address.Port, Hostname: "its.own"}
	e.Address = config.Address{IP: "192.0.2.1", Port: 1}
	check := everyKind()["HTTP/1"]
	check.HTTP.Host = "of.all"
	p := newProber(&config.Cluster{Name: "k", HealthCheck: check}, e, nil, nil, nil)
	defer p.close()
	wantOutcome(t, p, passed)
	if got, want := fmt.Sprint(o.notes()), fmt.Sprint([]string{"GET / HTTP/1.1\r\nhost: its.own\r\nuser-agent: Envoy/HC\r\n\r\n"}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
