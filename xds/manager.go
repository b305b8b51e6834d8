package xds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// maxEvents bounds the queue of events, and who has another one waits. The ADS client has one at a time, so the queue holds
// little more than a response and a disconnection.
const maxEvents = 4

// Options describe a Manager. Bootstrap, Store and Logger are required.
type Options struct {
	// Bootstrap says what is static and whether and how there is a control plane. It is read-only from here on.
	Bootstrap *bootstrap.Bootstrap
	// Store receives the resources, as its sources SourceFile and SourceXDS. The function that it installs snapshots with
	// must not call the Manager.
	Store  *config.Store
	Logger *zap.Logger
	// DialOptions are those of the connection to the control plane, after the Manager's own.
	DialOptions []grpc.DialOption
}

// Manager keeps a config.Store in step with the bootstrap and the control plane. All methods may be called from any
// goroutine.
type Manager struct {
	ads    *bootstrap.ControlPlane // nil without a control plane
	cds    *config.Discovery       // nil when clusters are not asked for
	lds    *config.Discovery       // the same of listeners
	store  *config.Store
	log    *zap.Logger
	client *ads.Client // nil without a control plane

	events      chan event    // handled by Run, one after the other
	initialized chan struct{} // closed when phase becomes phaseLive

	mu          sync.Mutex           // guards all below; Run holds it for one event
	boot        *bootstrap.Bootstrap // in force
	bootApplied time.Time            // zero before Static
	clusters    family[*config.Cluster, *config.ClusterLoadAssignment]
	listeners   family[*config.Listener, *config.RouteConfiguration]
	phase       phase
	// phaseDeadline is when the first answer of the phase is not waited for any longer, zero for never.
	phaseDeadline time.Time
}

// event is something for Run to do. What do returns is passed on to done, when there is one, after everything that follows
// from the event was done, too: an answer to the control plane must come after the subscriptions that a response leads to.
type event struct {
	do   func() error
	done chan<- error // has room for the error
}

// New returns a Manager of what o describes. Nothing is applied or asked for before Static and Run.
func New(o Options) (*Manager, error) {
	if o.Bootstrap == nil || o.Store == nil || o.Logger == nil {
		return nil, errors.New("xds: bootstrap, store and logger must all be given")
	}
	m := &Manager{
		ads:         o.Bootstrap.ADS,
		cds:         o.Bootstrap.CDS,
		lds:         o.Bootstrap.LDS,
		store:       o.Store,
		boot:        o.Bootstrap,
		log:         o.Logger,
		events:      make(chan event, maxEvents),
		initialized: make(chan struct{}),
	}
	m.clusters = newFamily(m, clusterKind(), assignmentKind(), clusterNeeds, resource.AssignmentType)
	m.listeners = newFamily(m, listenerKind(), routeKind(), listenerNeeds, resource.RouteType)
	if m.ads == nil {
		return m, nil
	}
	var err error
	m.client, err = ads.New(m.clientOptions(&o))
	if err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	return m, nil
}

func newFamily[P, C any](m *Manager, parents kind[P], children kind[C], needs func(P) []need, childURL string) family[P, C] {
	f := family[P, C]{
		parent:   parents,
		child:    children,
		needs:    needs,
		store:    m.store,
		log:      m.log,
		parents:  make(map[string]*parent[P]),
		children: make(map[string]*child[C]),
	}
	if m.ads != nil {
		f.subscribe = func(names []string) { m.client.Subscribe(childURL, names) }
	}
	return f
}

// guarded returns decode with a panic in it made an error: a resource that the decoder was not made for is refused, and
// must not take the process down.
func guarded[T any](decode func(proto.Message) (T, error)) func(proto.Message) (T, error) {
	return func(message proto.Message) (decoded T, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the decoder panicked: %v", v)
			}
		}()
		return decode(message)
	}
}

func clusterKind() kind[*config.Cluster] {
	return kind[*config.Cluster]{
		noun: "cluster",
		decode: guarded(func(message proto.Message) (*config.Cluster, error) {
			c, err := resource.Cluster(message.(*clusterv3.Cluster))
			if err != nil {
				return nil, err
			}
			c.AddedViaAPI = true
			return c, onlyAggregated(c.Name, c.EDS)
		}),
		changes: func(d *config.Delta) *config.Changes[*config.Cluster] { return &d.Clusters },
	}
}

func assignmentKind() kind[*config.ClusterLoadAssignment] {
	return kind[*config.ClusterLoadAssignment]{
		noun: "cluster_load_assignment",
		decode: guarded(func(message proto.Message) (*config.ClusterLoadAssignment, error) {
			return resource.Assignment(message.(*endpointv3.ClusterLoadAssignment))
		}),
		changes: func(d *config.Delta) *config.Changes[*config.ClusterLoadAssignment] { return &d.Endpoints },
	}
}

func listenerKind() kind[*config.Listener] {
	return kind[*config.Listener]{
		noun: "listener",
		decode: guarded(func(message proto.Message) (*config.Listener, error) {
			l, err := resource.Listener(message.(*listenerv3.Listener))
			if err != nil {
				return nil, err
			}
			for hcm := range l.Managers() {
				if err := onlyAggregated(l.Name, hcm.RDS); err != nil {
					return nil, err
				}
			}
			return l, nil
		}),
		changes: func(d *config.Delta) *config.Changes[*config.Listener] { return &d.Listeners },
	}
}

func routeKind() kind[*config.RouteConfiguration] {
	return kind[*config.RouteConfiguration]{
		noun: "route_configuration",
		decode: guarded(func(message proto.Message) (*config.RouteConfiguration, error) {
			return resource.RouteConfiguration(message.(*routev3.RouteConfiguration))
		}),
		changes: func(d *config.Delta) *config.Changes[*config.RouteConfiguration] { return &d.Routes },
	}
}

func onlyAggregated(name string, d config.Discovery) error {
	if !d.Source.Aggregated() {
		return fmt.Errorf("%s: a config source is not supported, only ads", name)
	}
	return nil
}

func clusterNeeds(c *config.Cluster) []need {
	if c.Type != config.ClusterEDS {
		return nil
	}
	return []need{{child: c.EDSName, patience: c.EDS.FetchTimeout, statPrefix: "cluster." + c.Name + "."}}
}

func listenerNeeds(l *config.Listener) (needs []need) {
	for hcm := range l.Managers() {
		if name := hcm.RouteConfigName; name != "" {
			needs = append(needs, need{child: name, patience: hcm.RDS.FetchTimeout, statPrefix: "http." + hcm.StatPrefix + ".rds." + name + "."})
		}
	}
	return needs
}

// clientOptions are those of the ADS client.
func (m *Manager) clientOptions(o *Options) ads.Options {
	x := m.ads
	targets := make([]string, len(x.Targets))
	for i, a := range x.Targets {
		targets[i] = a.String()
	}
	sent := metadata.MD{}
	for _, entry := range x.InitialMetadata {
		sent.Append(entry.Key, entry.Value)
	}
	return ads.Options{
		Targets:                targets,
		Node:                   o.Bootstrap.Node,
		NodeOnFirstMessageOnly: x.SetNodeOnFirstMessageOnly,
		Incremental:            x.Incremental,
		Types: []ads.Type{
			m.subscription(resource.ClusterType, true, m.clusters.applyParents),
			m.subscription(resource.AssignmentType, false, m.clusters.applyChildren),
			m.subscription(resource.ListenerType, true, m.listeners.applyParents),
			m.subscription(resource.RouteType, false, m.listeners.applyChildren),
		},
		Metadata:        sent,
		Authority:       x.Authority,
		ConnectTimeout:  x.ConnectTimeout,
		MaxReceiveBytes: x.MaxReceiveBytes,
		Keepalive: keepalive.ClientParameters{
			Time:                x.KeepaliveInterval,
			Timeout:             x.KeepaliveTimeout,
			PermitWithoutStream: true,
		},
		OnDisconnect: m.disconnected,
		Logger:       o.Logger,
		DialOptions:  o.DialOptions,
	}
}

// subscription describes one resource type to the ADS client: its responses become events that apply handles.
func (m *Manager) subscription(url string, wildcard bool, apply func(ads.Response, time.Time) error) ads.Type {
	return ads.Type{
		URL:      url,
		Wildcard: wildcard,
		Decode:   func(packed *anypb.Any) (string, proto.Message, error) { return resource.Unmarshal(url, packed) },
		Handle: func(ctx context.Context, r ads.Response) error {
			done := make(chan error, 1)
			select {
			case m.events <- event{func() error { return apply(r, time.Now()) }, done}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case err := <-done:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
}

// disconnected takes the loss of the stream into the counters. It is called by the ADS client, which Run waits for, so the
// queue is being emptied meanwhile.
func (m *Manager) disconnected(error) {
	m.events <- event{do: func() error {
		m.clusters.disconnected()
		m.listeners.disconnected()
		return nil
	}}
}

// Run talks to the control plane until ctx is done, and returns when nothing of it is left running. What was applied stays.
// It is called once, after Static. Without a control plane it only waits.
func (m *Manager) Run(ctx context.Context) {
	var conversation sync.WaitGroup
	ended := make(chan struct{})
	deadline := time.NewTimer(m.step(event{do: m.start}))
	defer deadline.Stop()
	if m.client != nil {
		conversation.Go(func() { m.client.Run(ctx) })
	}
	go func() {
		conversation.Wait()
		<-ctx.Done()
		close(ended)
	}()
	for {
		select {
		case e := <-m.events:
			deadline.Reset(m.step(e))
		case <-deadline.C:
			deadline.Reset(m.step(event{do: m.expire}))
		case <-ended:
			return
		}
	}
}

// never is how long the timer of Run is set to when nothing has a deadline.
const never = 24 * time.Hour

// step handles one event, and returns how long it is to the next deadline.
func (m *Manager) step(e event) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := e.do()
	now := time.Now()
	m.advance(now)
	if e.done != nil {
		e.done <- err
	}
	next := m.phaseDeadline
	for _, d := range []time.Time{m.clusters.nextDeadline(now), m.listeners.nextDeadline(now)} {
		if next.IsZero() || (!d.IsZero() && d.Before(next)) {
			next = d
		}
	}
	if next.IsZero() {
		return never
	}
	return next.Sub(now)
}

// expire handles deadlines.
func (m *Manager) expire() error {
	now := time.Now()
	m.clusters.expire(now)
	m.listeners.expire(now)
	return nil
}

// RestartStream ends the stream to the control plane and begins a new one at once. What was applied stays.
func (m *Manager) RestartStream() {
	if m.client != nil {
		m.client.Restart()
	}
}
