package ads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Limits.
const (
	// DefaultMaxReceiveBytes is the largest response that is taken by default. 100,000 routes of ordinary size are below
	// 32 MiB; a server that sends more is cut off before it exhausts the memory of the proxy.
	DefaultMaxReceiveBytes = 64 << 20
	// MaxErrorDetail is the longest error text in bytes that a refusal carries: what names the first few faults, and keeps
	// a server's log readable when every one of 10,000 resources is refused.
	MaxErrorDetail = 4 << 10
	// RepeatedRefusalDelay is what the answer is delayed by when the very version that was just refused comes again. Some
	// servers resend at once what was refused; without the delay both sides would spin.
	RepeatedRefusalDelay = time.Second
)

// Options describe a Client. Servers, Node and Types are required.
type Options struct {
	// Servers are the control planes that the resources may come from (grpc_services), the preferred one first. After an attempt
	// that heard nothing the next target is tried, after the last one of a server the first of the next server, and after the last of
	// all the first of all.
	Servers []Server
	// Node is what the proxy tells about itself. It is read-only from here on.
	Node *corev3.Node
	// NodeOnFirstMessageOnly is set_node_on_first_message_only: only the first request of a stream carries Node.
	NodeOnFirstMessageOnly bool
	// Types are all types that may be subscribed to, each URL once.
	Types []Type
	// Incremental asks for the incremental variant of the protocol (api_type DELTA_GRPC) instead of the state of the world.
	Incremental bool
	// OwnService talks to the discovery service that the only one of Types has to itself, such as the listeners' (an
	// api_config_source of their own), instead of to the aggregated one.
	OwnService bool

	// RateLimit bounds how often requests are sent (rate_limit_settings); the zero value does not.
	RateLimit RateLimit
	// Jitter returns a random number in [0,n); nil means math/rand/v2's.
	Jitter func(n int64) int64
	// OnDisconnect, when not nil, is told every failed attempt and every end of a stream that was not asked for.
	OnDisconnect func(error)
	Logger       *zap.Logger
}

// Client is one conversation with a control plane, about all of its types or, on a service of its own, about one. All methods may be called from any goroutine.
type Client struct {
	opts   Options
	method string // that opens the stream
	log    *zap.Logger
	byURL  map[string]*subscription // the map is fixed, its values are guarded by mu
	places []place                  // where to connect to, in order
	limit  *rate.Limiter            // of requests, nil for none

	backoffs []exponential // by server, owned by Run

	wake     chan struct{} // capacity 1: something was queued
	expiries chan struct{} // capacity 1: lifetimes have changed

	handling sync.Mutex // held while a response or an expiry is handled, taken before mu

	mu       sync.Mutex              // guards all below and the subscriptions
	order    []*subscription         // in order of first Subscribe
	queue    []*subscription         // requests due, each subscription at most once
	stream   uint64                  // counts streams; a delayed answer belongs to one of them
	open     bool                    // a stream is open
	nodeSent bool                    // on the open stream
	restart  context.CancelCauseFunc // ends the attempt under way, nil outside Run
	state    State
}

// State is what is known about the conversation as a whole.
type State struct {
	// Connected tells that a stream is open (control_plane.connected_state).
	Connected bool
	// Server is the index of the one of Options.Servers, and Target that of its targets, that is talked to or was tried last.
	Server int
	Target string
	// Heard tells that any response came since the Client was made.
	Heard bool
	// Identifier is the control_plane.identifier of the last response that had one.
	Identifier string
	// LastError says why the last attempt or stream ended; it is empty once a new stream answers.
	LastError string
	// PendingRequests is how many requests wait to be sent (control_plane.pending_requests), and RateLimitEnforced how often one had
	// to wait for RateLimit (control_plane.rate_limit_enforced).
	PendingRequests   int
	RateLimitEnforced uint64
}

// errRestart is the cause of an attempt's end when Restart was called.
var errRestart = errors.New("restart of the xDS stream asked for")

// New checks opts and returns a Client that does nothing until Run.
func New(opts Options) (*Client, error) {
	switch {
	case opts.Node.GetId() == "" || opts.Node.GetCluster() == "":
		return nil, fmt.Errorf("ads: node id %q and cluster %q must both be set", opts.Node.GetId(), opts.Node.GetCluster())
	case opts.Logger == nil:
		return nil, errors.New("ads: no logger")
	}
	c := &Client{
		opts:  opts,
		log:   opts.Logger,
		byURL: make(map[string]*subscription, len(opts.Types)),
		wake:  make(chan struct{}, 1),

		expiries: make(chan struct{}, 1),
	}
	for _, t := range opts.Types {
		if _, ok := c.byURL[t.URL]; ok {
			return nil, fmt.Errorf("ads: type %s is given twice", t.URL)
		}
		c.byURL[t.URL] = &subscription{Type: t}
	}
	for i := range opts.Servers {
		server := &opts.Servers[i]
		if len(server.Targets) == 0 {
			return nil, fmt.Errorf("ads: no target of server %d, want at least one host:port", i)
		}
		for _, target := range server.Targets {
			c.places = append(c.places, place{i, target, server.dialOptions(target)})
		}
		c.backoffs = append(c.backoffs, newExponential(server.BackoffBase, server.BackoffMax, opts.Jitter))
	}
	if len(c.places) == 0 {
		return nil, errors.New("ads: no server, want at least one")
	}
	var err error
	if c.method, err = methodFor(&opts); err != nil {
		return nil, err
	}
	if c.limit, err = opts.RateLimit.limiter(); err != nil {
		return nil, err
	}
	c.state.Target = c.places[0].target
	return c, nil
}

// Run keeps the conversation going until ctx is done, and returns when nothing of it is left running. It is called once.
func (c *Client) Run(ctx context.Context) {
	var expirer sync.WaitGroup
	expirer.Go(func() { c.expire(ctx) })
	defer expirer.Wait() // the loop ends with ctx
	for i := 0; ctx.Err() == nil; {
		at := &c.places[i]
		attempt, cancel := context.WithCancelCause(ctx)
		c.begin(cancel, at)
		heard, err := c.serve(attempt, at)
		if heard {
			for i := range c.backoffs {
				c.backoffs[i].reset()
			}
		} else {
			i = (i + 1) % len(c.places)
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(context.Cause(attempt), errRestart):
			c.log.Info("xDS stream is redone", zap.String("method", c.method), zap.String("target", at.target))
		default:
			c.failed(err)
			sleep(attempt, c.backoffs[at.server].next())
		}
		cancel(nil)
	}
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *Client) begin(cancel context.CancelCauseFunc, at *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restart, c.state.Server, c.state.Target = cancel, at.server, at.target
}

// failed counts and reports the end of an attempt or a stream.
func (c *Client) failed(err error) {
	c.mu.Lock()
	c.state.LastError = err.Error()
	target := c.state.Target
	for _, s := range c.order {
		s.stats.UpdateAttempt++
		s.stats.UpdateFailure++
	}
	c.mu.Unlock()
	c.log.Warn("xDS stream ended", zap.String("method", c.method), zap.String("target", target), zap.Error(err))
	if c.opts.OnDisconnect != nil {
		c.opts.OnDisconnect(err)
	}
}

// Restart ends the stream, or the wait for one, and begins a new one at once. Versions are kept.
func (c *Client) Restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restart != nil {
		c.restart(errRestart)
	}
}

// Subscribe asks for the resources names of the type with this URL, instead of those asked for before. The order of names
// does not matter; names is not kept. No names means all resources for a Wildcard type, and none for another. It panics
// for a type that the Client was not made with.
func (c *Client) Subscribe(url string, names []string) {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)

	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byURL[url]
	if s == nil {
		panic(fmt.Sprintf("BUG: subscription to the undeclared type %s", url))
	}
	if s.subscribed && slices.Equal(s.names, sorted) {
		return
	}
	if !s.subscribed {
		if len(sorted) == 0 && !s.Wildcard {
			return
		}
		s.subscribed = true
		s.stats.UpdateAttempt++
		c.order = append(c.order, s)
	}
	s.rename(sorted)
	c.enqueue(s)
}

// enqueue makes a request of s due. The caller holds mu.
func (c *Client) enqueue(s *subscription) {
	if !c.open || s.queued || !s.worthAsking() {
		return
	}
	s.queued = true
	c.queue = append(c.queue, s)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// State returns what is known about the conversation.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state
	state.PendingRequests = len(c.queue)
	return state
}

// Stats returns the counters of the type with this URL, zero ones for an unknown type.
func (c *Client) Stats(url string) Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byURL[url]; s != nil {
		return s.stats
	}
	return Stats{}
}
