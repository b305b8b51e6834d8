package upstream

import (
	"cmp"
	"math/rand/v2"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http1"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/orca"
	"github.com/penguintechinc/marchproxy-alb/proxy/outlier"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// Cluster is a cluster on one worker.
type Cluster struct {
	config *config.Cluster // of state
	state  State
	shared *Shared
	loop   *eventloop.Loop
	random *rand.PCG
	stats  *stats.Block
	limits http1.Limits

	http2        *http2.Env
	http2Options *http2.Options // of the configuration in force; connections keep theirs
	http2Stats   *stats.Block
	zoneStats    map[string]*stats.Block // by the zones of hosts; nil where zones are not known

	failed func(*message.Response) bool // see JudgeBy

	tls                  *tls.Sockets // nil for plaintext
	tlsStats, tlsFactory *stats.Block

	hosts   []*balancer.Host // whose Data is their Host
	set     *balancer.Set    // of those that are not excluded
	picker  balancer.Picker
	hashes  balancer.HashPicker // instead of picker, where state has Hashing
	permits [config.RoutingPriorities]requestPermits
	// budgeted says where retries go by how many requests have begun.
	budgeted [config.RoutingPriorities]bool

	withouts map[withoutKey]*balancer.Picker // of attempts that stay away from priorities; nil until there are some

	dialOptions []eventloop.DialOption // of sockets to hosts
	bind        *config.Bind           // of Env
	// source4 and source6 are where sockets to hosts of each family begin, nil for anywhere.
	source4, source6 *eventloop.DialSource

	aggregate *aggregate // of a cluster of type aggregate
	subsets   *subsets   // nil while hosts are not divided
	worker    int        // the index of its worker

	original      *originalHosts // of a cluster of type ORIGINAL_DST
	originalField []byte

	// Where hosts are weighed by what they report: what of it, the hosts that have since it was last asked for, and the weights
	// that came of it.
	metrics   *orca.Metrics
	reporting []*Host
	weights   *orca.Weights

	// With a policy override_host: the fields that may name a host, and the hosts by their addresses.
	overrideFields [][]byte
	byAddress      map[string]*Host
	key            []byte // of the pool that is looked for
	retired        bool
}

// Env is what the clusters of a worker have in common.
type Env struct {
	Worker int // its index, from 0
	Loop   *eventloop.Loop
	Random *rand.PCG
	HTTP2  *http2.Env
	Bind   *config.Bind // of clusters that have none, nil for none
}

// New returns a cluster without hosts. block counts for it on this worker.
func New(cfg *config.Cluster, shared *Shared, block *stats.Block, env Env) *Cluster {
	k := &Cluster{
		state: State{Config: cfg}, shared: shared, worker: env.Worker, loop: env.Loop, random: env.Random, http2: env.HTTP2, stats: block,
		bind: env.Bind,
	}
	k.configure(cfg)
	k.rebalance()
	return k
}

// CountHTTP2 has the codec of HTTP/2 connections count in block, of stats.HTTP2Codec. It comes before the configuration that
// first asks for that protocol.
func (k *Cluster) CountHTTP2(block *stats.Block) { k.http2Stats = block }

// CountZones has responses of the hosts in each zone counted in its block, of stats.Zone. It comes before the assignment that has them.
func (k *Cluster) CountZones(blocks map[string]*stats.Block) { k.zoneStats = blocks }

// State is what a cluster is made of at a time.
type State struct {
	Config     *config.Cluster
	Assignment *config.ClusterLoadAssignment // nil while none is known
	Health     *config.ClusterHealth         // nil while no host has been checked
	// Monitors watch what the hosts answer; nil without outlier detection.
	Monitors *outlier.Monitors
	// Hashing is what NewHashing makes of the others, of a cluster that balances by consistent hashing.
	Hashing *balancer.Hashing
	// Peers are the proxies that this one is one of, as NewPeers tells; nil for a cluster that does not balance by zones.
	Peers *balancer.Peers
}

// Update gives the cluster a new configuration, assignment, and health of its hosts. Hosts that stay keep their connections and
// numbers.
func (k *Cluster) Update(s State) {
	if s == k.state {
		return
	}
	before := k.state
	replaced := s.Assignment != before.Assignment
	rechecked := s.Health != before.Health || s.Config.HealthCheck != k.config.HealthCheck ||
		s.Config.IgnoreNewHosts != k.config.IgnoreNewHosts || s.Monitors != before.Monitors ||
		(s.Config.LoadReports == nil) != (k.config.LoadReports == nil)
	original := k.Original()
	k.configure(s.Config)
	k.state = s
	k.returnUnused() // they may be of a limit that was higher
	switch {
	case k.Original() && original:
		k.Hosts((*Host).secure)
	case replaced || rechecked:
		k.replaceHosts()
	}
	if before.Config != s.Config {
		k.Hosts((*Host).secure) // the hosts may be the same, and what they are told of clients not
	}
	if is := bounds(s.Config); is || bounds(before.Config) {
		k.Hosts(func(h *Host) { h.bound(is) })
	}
	k.indexHosts()
	k.rebalance()
	if a, b := before.Config.AutoName, s.Config.AutoName; a != b && (a == nil || b == nil || *a != *b) {
		k.Hosts((*Host).forgetNames)
	}
	k.Hosts(func(h *Host) { h.pools((*pool).serveWaiting) }) // the breakers may allow more
}

func (k *Cluster) configure(cfg *config.Cluster) {
	k.configureLoads(cfg.LoadReports)
	k.config = cfg
	for priority, t := range [...]*config.Thresholds{config.PriorityDefault: &cfg.Breakers, config.PriorityHigh: &cfg.HighBreakers} {
		k.budgeted[priority] = t.RetryBudget != nil && t.RetryBudget.Interval > 0
	}
	k.limits = http1.Limits{
		HeaderBytes:    int(cfg.MaxHeaderKB) << 10,
		BufferBytes:    int(cfg.BufferLimit),
		FieldCount:     int(cfg.MaxHeaderCount),
		EnableTrailers: cfg.EnableTrailers,
		ProperCase:     cfg.HeaderCase.Proper, PreserveCase: cfg.HeaderCase.Preserve,
		ProperOthers: cfg.HeaderCase.ProperOthers, ForwardReason: cfg.HeaderCase.ForwardReason,
	}
	if cfg.Type != config.ClusterAggregate {
		k.aggregate = nil
	}
	k.configureOriginal(cfg)
	k.dialOptions = nil
	for _, o := range cfg.SocketOptions {
		k.dialOptions = append(k.dialOptions, eventloop.DialOption{Level: o.Level, Name: o.Name, Value: o.Int})
	}
	k.bindSources(cmp.Or(cfg.Bind, k.bind))
	k.overrideFields = nil
	for _, name := range cfg.OverrideHeaders {
		k.overrideFields = append(k.overrideFields, []byte(name))
	}
	k.http2Options = http2.OptionsOf(&cfg.HTTP2, cfg.MaxHeaderKB, cfg.MaxHeaderCount)
}

// replaceHosts makes the hosts those of the assignment, in its order, so that all workers and restarts agree on it. An endpoint
// that is listed twice is one host: the first counts. Those of before that are not listed leave.
func (k *Cluster) replaceHosts() {
	before := k.hosts
	known := make(map[config.Address]*Host, len(before))
	for _, b := range before {
		h := b.Data.(*Host)
		h.gone = true // until it is found in the assignment
		known[h.at] = h
	}
	k.hosts = nil
	for locality, e := range k.state.Assignment.Endpoints() {
		if h := k.host(known, e); h != nil {
			h.describe(locality, e)
			k.hosts = append(k.hosts, &h.Host)
		}
	}
	stayed := 0
	for _, b := range before {
		if h := b.Data.(*Host); h.gone {
			h.leave()
		} else {
			stayed++
		}
	}
	if k.config.CloseOnHostSetChange && (stayed < len(before) || stayed < len(k.hosts)) {
		k.Hosts((*Host).outdate) // so that traffic is spread anew
	}
}

// host returns the host of endpoint e, made anew or one of those known. It returns nil for an endpoint that is not to be
// used, or is listed already.
func (k *Cluster) host(known map[config.Address]*Host, e *config.Endpoint) *Host {
	address, ok := usable(e)
	if !ok {
		return nil
	}
	h := known[address]
	if h == nil && e.Logical {
		h = moved(known, e, address)
	}
	switch {
	case h == nil:
		h = newHost(k)
		h.locate(address)
		known[address] = h
	case !h.gone:
		return nil
	}
	h.gone = false
	return h
}

// moved returns the host that a logical endpoint was before its name led to another address, nil when there was none. Its
// connections stay; new ones go to the new address.
func moved(known map[config.Address]*Host, e *config.Endpoint, address config.Address) *Host {
	for old, h := range known {
		if h.gone && h.logical && h.Hostname == e.Hostname && old.Port == address.Port {
			delete(known, old)
			known[address] = h
			h.locate(address)
			return h
		}
	}
	return nil
}

// describe takes over what the assignment says of the host, and what its health checks do.
func (h *Host) describe(locality *config.LocalityEndpoints, e *config.Endpoint) {
	before := h.ActiveHealth
	h.ActiveHealth = h.cluster.config.HealthOf(h.cluster.state.Health, e)
	describe(&h.Host, locality, e, h.ActiveHealth)
	if h.cluster.metrics != nil {
		h.Weight = h.cluster.weights.Of(h.at, h.Priority)
	}
	h.EDSHealth, h.PendingRemoval, h.logical = e.Health, e.PendingRemoval, e.Logical
	h.monitor = nil
	if monitors := h.cluster.state.Monitors; monitors != nil {
		h.monitor = monitors.Of(h.at)
	}
	h.zone = h.cluster.zoneStats[locality.Zone]
	h.more = e.Additional
	h.subsetLabels, h.Canary = e.SubsetLabels, e.Canary
	h.socketLabels, h.localityLabels = e.SocketLabels, e.LocalityLabels
	h.secure()
	h.reported = false
	if h.HealthySince == 0 || before.Has(config.FailedActiveHC) && !h.ActiveHealth.Has(config.FailedActiveHC) {
		h.HealthySince = h.cluster.loop.Now()
	}
	if h.ActiveHealth.Has(config.FailedActiveHC) && !before.Has(config.FailedActiveHC) {
		h.drain()
	}
}

// describe sets what the balancer goes by.
func describe(h *balancer.Host, locality *config.LocalityEndpoints, e *config.Endpoint, active config.HostHealth) {
	h.Hostname, h.HashKey = e.Hostname, e.HashKey
	h.Weight = e.Weight
	h.Priority = locality.Priority
	h.Locality = balancer.Locality{Region: locality.Region, Zone: locality.Zone, SubZone: locality.SubZone}
	h.Health = HealthOf(e.Health, active)
}

// HealthOf returns what a host may be used for, given what the control plane and its health checks say. It takes both to be
// healthy.
func HealthOf(eds config.HealthStatus, active config.HostHealth) balancer.Health {
	switch {
	case eds == config.HealthUnhealthy, eds == config.HealthTimeout, active.Has(config.FailedActiveHC | config.FailedOutlierCheck):
		return balancer.Unhealthy
	case eds == config.HealthDegraded, active.Has(config.DegradedActiveHC):
		return balancer.Degraded
	default:
		return balancer.Healthy
	}
}

// Retire ends a cluster that is no longer configured: idle connections close, requests in flight finish.
func (k *Cluster) Retire() {
	k.retired = true
	k.original.forgetAll()
	k.Hosts((*Host).leave)
	k.returnUnused()
}

// Speaks returns in what a request that came in with a version goes to the cluster.
func (k *Cluster) Speaks(downstream message.Version) Protocol {
	switch p := k.config.Protocol; {
	case p == config.ProtocolAuto:
		return Negotiated
	case p == config.ProtocolHTTP2, p == config.ProtocolDownstream && downstream == message.HTTP2:
		return HTTP2
	default:
		return HTTP1
	}
}

// Config returns the configuration in force.
func (k *Cluster) Config() *config.Cluster { return k.config }

// DropOverload returns the share of requests that the control plane wants refused, in parts of a million.
func (k *Cluster) DropOverload() uint32 {
	if k.state.Assignment == nil {
		return 0
	}
	return k.state.Assignment.Drop
}

// Stats returns the cluster's counters on this worker.
func (k *Cluster) Stats() *stats.Block { return k.stats }

// Set returns the hosts that the picker chooses among.
func (k *Cluster) Set() *balancer.Set { return k.set }

// Hosts calls f for every host.
func (k *Cluster) Hosts(f func(*Host)) {
	for _, h := range k.hosts {
		f(h.Data.(*Host))
	}
}
