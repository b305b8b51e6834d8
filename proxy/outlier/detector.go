package outlier

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Target is a cluster whose hosts are watched.
type Target struct {
	Config     *config.OutlierDetection
	Assignment *config.ClusterLoadAssignment
	Health     *config.ClusterHealth   // what active checks find; nil while there are none
	Ejected    map[config.Address]bool // hosts that are out, as is known of them
	Monitors   *Monitors
	Stats      *stats.Scope // of stats.OutlierDetection
}

// Counts are the requests to a host since it was added, over all workers.
type Counts struct {
	Total, Success           uint64
	LocalTotal, LocalSuccess uint64 // of attempts to reach it, where these are counted apart
}

// Add adds o to c.
func (c *Counts) Add(o *Counts) {
	c.Total += o.Total
	c.Success += o.Success
	c.LocalTotal += o.LocalTotal
	c.LocalSuccess += o.LocalSuccess
}

// Sample returns the counts of a cluster's hosts. It may take a while.
type Sample func(cluster string) map[config.Address]Counts

// Detector watches clusters, each on a goroutine of its own.
type Detector struct {
	sample  Sample
	publish func(cluster string, ejected map[config.Address]bool)

	mu      sync.Mutex // guards what follows
	groups  map[string]*group
	closed  bool
	running sync.WaitGroup
}

// New returns a Detector without clusters. publish is told of the hosts of a cluster that are out when they are not as before; it
// is called on the detector's goroutines and may call Update.
func New(sample Sample, publish func(cluster string, ejected map[config.Address]bool)) *Detector {
	return &Detector{sample: sample, publish: publish, groups: make(map[string]*group)}
}

// Update makes targets, by the names of clusters, what is watched. It does not wait.
func (d *Detector) Update(targets map[string]*Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, g := range d.groups {
		if t := targets[name]; t == nil || t.Monitors != g.target.Load().Monitors {
			g.cancel()
			delete(d.groups, name)
		}
	}
	if d.closed {
		return
	}
	for name, t := range targets {
		g := d.groups[name]
		if g == nil {
			g = newGroup(d, name, t)
			d.groups[name] = g
			d.running.Go(g.run)
			continue
		}
		// By now the workers have the hosts of t, and none has any other.
		if before := g.target.Swap(t); before.Assignment != t.Assignment {
			t.Monitors.keep(listed(t.Assignment))
		}
	}
}

// Close ends all watching and waits for its goroutines. It must not be called by publish.
func (d *Detector) Close() {
	d.mu.Lock()
	d.closed = true
	for _, g := range d.groups {
		g.cancel()
	}
	d.mu.Unlock()
	d.running.Wait()
}

// group watches the hosts of one cluster. All but target belongs to its goroutine.
type group struct {
	detector *Detector
	name     string
	target   atomic.Pointer[Target]
	ctx      context.Context
	cancel   context.CancelFunc

	hosts map[config.Address]*host
}

// host is what is known of a host.
type host struct {
	address config.Address
	monitor *Monitor
	counts  Counts // at the last sweep
	ejected bool
	since   time.Time // when it was ejected
	jitter  time.Duration
	backoff int64 // multiplies how long it stays out
}

func newGroup(d *Detector, name string, t *Target) *group {
	g := &group{detector: d, name: name, hosts: make(map[config.Address]*host)}
	g.target.Store(t)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

func (g *group) run() {
	defer g.cancel()
	pause := time.NewTimer(g.target.Load().Config.Interval)
	defer pause.Stop()
	if t := g.target.Load(); len(t.Ejected) > 0 {
		g.tell(t) // what an earlier detection has found is over
	}
	for {
		select {
		case <-g.ctx.Done():
			return
		case r := <-g.target.Load().Monitors.reports: // a group has the same monitors always
			t := g.target.Load()
			g.refresh(t)
			if g.reported(t, r) {
				g.tell(t)
			}
		case <-pause.C:
			t := g.target.Load()
			g.refresh(t)
			if g.sweep(t, time.Now()) {
				g.tell(t)
			}
			pause.Reset(t.Config.Interval)
		}
	}
}

// refresh makes the hosts those of the target.
func (g *group) refresh(t *Target) {
	hosts := listed(t.Assignment)
	for at, address := range hosts {
		if g.hosts[at] == nil {
			g.hosts[at] = &host{address: address}
		}
		g.hosts[at].monitor = t.Monitors.Of(at) // it is another one when the host had left and has come back
	}
	for at := range g.hosts {
		if _, ok := hosts[at]; !ok {
			delete(g.hosts, at)
		}
	}
}

// listed returns the addresses of the hosts of an assignment as they are written in it, by what they are.
func listed(a *config.ClusterLoadAssignment) map[config.Address]config.Address {
	hosts := make(map[config.Address]config.Address)
	for _, e := range a.Endpoints() {
		at, ok := e.Address.Unmapped()
		if !ok {
			continue
		}
		if _, twice := hosts[at]; !twice {
			hosts[at] = e.Address
		}
	}
	return hosts
}

// tell publishes the hosts that are out.
func (g *group) tell(t *Target) {
	ejected := make(map[config.Address]bool)
	for _, h := range g.hosts {
		if h.ejected {
			ejected[h.address] = true
		}
	}
	t.Stats.Set(stats.OutlierEjectionsActive, uint64(len(ejected)))
	if g.ctx.Err() == nil {
		g.detector.publish(g.name, ejected)
	}
}
