package acceptance

import (
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener"
)

// threads counts the streams that ended on each thread, hence on each worker.
type threads struct {
	mu      sync.Mutex
	streams map[int]int
}

func (c *threads) observe(*proxy.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[syscall.Gettid()]++
}

// take returns the counts in order, and begins anew.
func (c *threads) take() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := slices.Sorted(maps.Values(c.streams))
	clear(c.streams)
	return counts
}

// TestAcceptSteering gives each worker the same number of connections, also those of a listener that takes the place of
// another one on its address.
func TestAcceptSteering(t *testing.T) {
	const workers, each = 4, 8
	if err := listener.CheckSteering(workers); err != nil {
		t.Skipf("the kernel lets this process not steer connections: %v", err)
	}
	count := &threads{streams: make(map[int]int)}
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.Workers, s.Observe = workers, count.observe
	s.Listener.Address.Port = freePort(t) // written out, so that another listener can ask for the same
	p := s.Start(t)
	if got := p.Stat("listener_manager.accept_steering"); got != 1 {
		t.Errorf("the gauge says %d, want 1", got)
	}
	open := func(n int) (clients []*harness.Client) {
		for range n {
			c := p.Dial()
			c.Get("/")
			clients = append(clients, c)
		}
		p.Sync()
		return clients
	}
	want := slices.Repeat([]int{each}, workers)
	clients := open(workers * each)
	if got := count.take(); !slices.Equal(got, want) {
		t.Errorf("the workers have %v connections, want %v", got, want)
	}
	for _, c := range clients {
		c.Close()
	}
	p.Sync()
	open(workers * each)
	if got := count.take(); !slices.Equal(got, want) {
		t.Errorf("the workers have %v connections after others have gone, want %v", got, want)
	}
	renamed := *s.Listener
	renamed.Name = "renamed"
	p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"renamed": &renamed}, Replace: true}})
	open(workers * each)
	if got := count.take(); !slices.Equal(got, want) {
		t.Errorf("the workers have %v connections of a listener in place of another, want %v", got, want)
	}
}

// freePort returns a port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) uint32 {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return uint32(ln.Addr().(*net.TCPAddr).Port)
}
