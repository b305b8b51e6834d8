package attack

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	canaryCluster = "canary"
	canaryPath    = "/canary"
	// canaryEvery is the pause between two requests of the canary: short attacks have to meet some.
	canaryEvery = 10 * time.Millisecond
	// canaryP99 bounds what the 99th percentile of its requests may take in the full form.
	canaryP99 = 250 * time.Millisecond
)

// addCanary gives the setup a route to an origin that always answers at once.
func addCanary(t testing.TB, s *process.Setup) {
	t.Helper()
	o := harness.NewOrigin(t, harness.Echo)
	s.Clusters = append(s.Clusters, process.Cluster(canaryCluster, o.Addr()))
	l := s.Listeners[0]
	l.Routes = slices.Insert(l.Routes, 0, canaryRoute(canaryCluster))
}

// canaryRoute returns the route of the canary, which a slow machine does not end, however impatient the listener is.
func canaryRoute(cluster string) process.Fields {
	r := process.Route(canaryPath, cluster)
	r["route"].(process.Fields)["idle_timeout"] = edgeTimeout
	return r
}

// shareOrigin has the canary go to the origin that is attacked, over the connections to it that all share.
func shareOrigin(s *process.Setup) {
	s.Listeners[0].Routes[0] = canaryRoute(harness.ClusterName)
}

// canary is another client of the proxy, which has to be served whatever happens to it.
type canary struct {
	client  *harness.H2Client
	stop    chan struct{}
	running sync.WaitGroup
	took    []time.Duration
	err     error
}

// startCanary starts a client that sends a request after the other until it is told to stop.
func startCanary(t testing.TB, address string) *canary {
	t.Helper()
	c := &canary{client: harness.DialH2Address(t, address), stop: make(chan struct{})}
	c.running.Go(c.run)
	return c
}

func (c *canary) run() {
	ticker := time.NewTicker(canaryEvery)
	defer ticker.Stop()
	for {
		began := time.Now()
		if c.err = c.once(); c.err != nil {
			return
		}
		c.took = append(c.took, time.Since(began))
		select {
		case <-c.stop:
			return
		case <-ticker.C:
		}
	}
}

func (c *canary) once() error {
	var id uint32
	if err := c.client.TryBatch(func() { id = c.client.Request(true, harness.H2Head("GET", canaryPath)...) }); err != nil {
		return err
	}
	r, err := c.client.TryResponse(id)
	if err == nil && (r.Status != 200 || r.Body == "" || !r.EndStream) {
		err = fmt.Errorf("got %v", r)
	}
	return err
}

// end stops the client, which must have been served every time, and returns how long its requests took, from the fastest to
// the slowest.
func (c *canary) end(t testing.TB) []time.Duration {
	t.Helper()
	close(c.stop)
	c.running.Wait()
	c.client.Close()
	if c.err != nil {
		t.Errorf("the canary, after %d requests: %v", len(c.took), c.err)
		return nil
	}
	slices.Sort(c.took)
	if p99 := c.took[len(c.took)*99/100]; *full && !process.Race && p99 > canaryP99 {
		t.Errorf("a request of the canary takes %v at the 99th percentile, want %v at most", p99, canaryP99)
	}
	return c.took
}
