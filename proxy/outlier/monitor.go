// Package outlier takes hosts out that answer worse than they should, for a while (Envoy's outlier detection).
//
// Workers tell a Monitor per host what comes of requests. It counts failures in a row over all workers, with atomics that are
// written to in bad times only: a host that is well costs a load. What happened altogether each worker counts for itself; a
// Detector asks for that at each sweep, and decides, on a goroutine per cluster, which hosts go and which come back.
package outlier

import (
	"sync"
	"sync/atomic"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Kind is a reason to eject a host.
type Kind uint8

// The kinds.
const (
	Consecutive5xx Kind = iota
	ConsecutiveGateway
	ConsecutiveLocal
	SuccessRate
	LocalSuccessRate
	FailurePercentage
	LocalFailurePercentage
)

// maxReports bounds the reports of a cluster that wait for its detector. One that does not fit is made again by the failures that
// follow.
const maxReports = 1024

// Monitors are those of a cluster's hosts, for all workers.
type Monitors struct {
	config  atomic.Pointer[config.OutlierDetection]
	reports chan report

	mu    sync.Mutex // guards hosts
	hosts map[config.Address]*Monitor
}

// report tells a detector of a host that has failed so often that it may have to go.
type report struct {
	monitor *Monitor
	kind    Kind
}

// NewMonitors returns the monitors of a cluster.
func NewMonitors(cfg *config.OutlierDetection) *Monitors {
	m := &Monitors{reports: make(chan report, maxReports), hosts: make(map[config.Address]*Monitor)}
	m.config.Store(cfg)
	return m
}

// Configure replaces the configuration.
func (m *Monitors) Configure(cfg *config.OutlierDetection) { m.config.Store(cfg) }

// Of returns the monitor of a host.
func (m *Monitors) Of(host config.Address) *Monitor {
	m.mu.Lock()
	defer m.mu.Unlock()
	monitor := m.hosts[host]
	if monitor == nil {
		monitor = &Monitor{of: m, host: host}
		m.hosts[host] = monitor
	}
	return monitor
}

// keep forgets the monitors of other hosts than those.
func (m *Monitors) keep(hosts map[config.Address]config.Address) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for host := range m.hosts {
		if _, ok := hosts[host]; !ok {
			delete(m.hosts, host)
		}
	}
}

// Monitor counts the failures in a row of one host. Its methods may be called by all workers.
type Monitor struct {
	of   *Monitors
	host config.Address

	fiveXX, gateway, local atomic.Uint32
}

// Split reports whether failures to reach the host are counted apart from its answers.
func (m *Monitor) Split() bool { return m.of.config.Load().Split }

// Answered takes note of the status that the host has answered a request with. That it did shows that it can be reached.
func (m *Monitor) Answered(status int) {
	cfg := m.of.config.Load()
	if cfg.Split {
		reset(&m.local)
	}
	m.count(cfg, status)
}

// count counts a status.
func (m *Monitor) count(cfg *config.OutlierDetection, status int) {
	if status < 500 {
		reset(&m.fiveXX)
		reset(&m.gateway)
		return
	}
	if status >= 502 && status <= 504 {
		m.failed(&m.gateway, cfg.ConsecutiveGateway, ConsecutiveGateway)
	} else {
		reset(&m.gateway)
	}
	m.failed(&m.fiveXX, cfg.Consecutive5xx, Consecutive5xx)
}

// Unanswered takes note of a request that the host has not answered: it could not be reached, broke off, or took too long, which is
// timedOut. Unless these are counted apart, they count as 503 and 504.
func (m *Monitor) Unanswered(timedOut bool) {
	cfg := m.of.config.Load()
	switch {
	case cfg.Split:
		m.failed(&m.local, cfg.ConsecutiveLocal, ConsecutiveLocal)
	case timedOut:
		m.count(cfg, 504)
	default:
		m.count(cfg, 503)
	}
}

// failed counts one more failure in a row, and reports it when the limit is reached, and again each time that as many have come.
func (m *Monitor) failed(n *atomic.Uint32, limit uint32, kind Kind) {
	if count := n.Add(1); limit == 0 || count%limit != 0 {
		return
	}
	select {
	case m.of.reports <- report{m, kind}:
	default: // the detector is behind
	}
}

// reset ends a row of failures. Most of the time there is none, and nothing is written.
func reset(n *atomic.Uint32) {
	if n.Load() != 0 {
		n.Store(0)
	}
}

// forget begins all rows anew.
func (m *Monitor) forget() {
	reset(&m.fiveXX)
	reset(&m.gateway)
	reset(&m.local)
}
