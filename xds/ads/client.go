package ads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
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
	// DefaultConnectTimeout bounds one attempt to connect, as Cluster.connect_timeout does by default.
	DefaultConnectTimeout = 5 * time.Second
)

// Options describe a Client. Targets, Node and Types are required.
type Options struct {
	// Targets are the servers as gRPC names them, such as "host:port". After an attempt that heard nothing the next is
	// tried.
	Targets []string
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

	// Metadata is sent when a stream is opened (initial_metadata). It is read-only from here on.
	Metadata metadata.MD
	// Authority overrides the :authority of the stream when not empty.
	Authority string
	// ConnectTimeout bounds one attempt to connect; 0 means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// MaxReceiveBytes is the largest response that is taken; 0 means DefaultMaxReceiveBytes.
	MaxReceiveBytes int
	// Keepalive sends HTTP/2 pings when its Time is not 0. A server may close connections that ping more often than it
	// allows, which for gRPC servers is once in 5 minutes unless configured.
	Keepalive keepalive.ClientParameters
	// BackoffBase and BackoffMax are those of the wait before a new attempt; 0 means DefaultBackoffBase, DefaultBackoffMax.
	BackoffBase, BackoffMax time.Duration
	// Jitter returns a random number in [0,n); nil means math/rand/v2's.
	Jitter func(n int64) int64
	// OnDisconnect, when not nil, is told every failed attempt and every end of a stream that was not asked for.
	OnDisconnect func(error)
	Logger       *zap.Logger
	// DialOptions come last, so they can replace the plaintext credentials and the dialer.
	DialOptions []grpc.DialOption
}

// Client is one conversation with a control plane, about all of its types or, on a service of its own, about one. All methods may be called from any goroutine.
type Client struct {
	opts    Options
	dial    []grpc.DialOption
	method  string // that opens the stream
	log     *zap.Logger
	byURL   map[string]*subscription // the map is fixed, its values are guarded by mu
	backoff exponential              // owned by Run

	wake chan struct{} // capacity 1: something was queued

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
	// Target is the server that is talked to or was tried last.
	Target string
	// Heard tells that any response came since the Client was made.
	Heard bool
	// Identifier is the control_plane.identifier of the last response that had one.
	Identifier string
	// LastError says why the last attempt or stream ended; it is empty once a new stream answers.
	LastError string
}

// errRestart is the cause of an attempt's end when Restart was called.
var errRestart = errors.New("restart of the xDS stream asked for")

// New checks opts and returns a Client that does nothing until Run.
func New(opts Options) (*Client, error) {
	switch {
	case len(opts.Targets) == 0:
		return nil, errors.New("ads: no target, want at least one host:port")
	case opts.Node.GetId() == "" || opts.Node.GetCluster() == "":
		return nil, fmt.Errorf("ads: node id %q and cluster %q must both be set", opts.Node.GetId(), opts.Node.GetCluster())
	case opts.Logger == nil:
		return nil, errors.New("ads: no logger")
	}
	c := &Client{
		opts:    opts,
		log:     opts.Logger,
		byURL:   make(map[string]*subscription, len(opts.Types)),
		backoff: newExponential(opts.BackoffBase, opts.BackoffMax, opts.Jitter),
		wake:    make(chan struct{}, 1),
	}
	for _, t := range opts.Types {
		if _, ok := c.byURL[t.URL]; ok {
			return nil, fmt.Errorf("ads: type %s is given twice", t.URL)
		}
		c.byURL[t.URL] = &subscription{Type: t}
	}
	var err error
	if c.method, err = methodFor(&opts); err != nil {
		return nil, err
	}
	c.state.Target = opts.Targets[0]
	c.dial = dialOptions(&opts)
	return c, nil
}

// dialOptions are those of every connection. The waits between attempts are the Client's, not gRPC's: each attempt is a
// connection of its own, so gRPC's back-off never applies.
func dialOptions(opts *Options) []grpc.DialOption {
	connectTimeout := cmp.Or(opts.ConnectTimeout, DefaultConnectTimeout)
	maxReceive := cmp.Or(opts.MaxReceiveBytes, DefaultMaxReceiveBytes)
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithNoProxy(),
	}
	if opts.Authority != "" {
		dial = append(dial, grpc.WithAuthority(opts.Authority))
	}
	if opts.Keepalive.Time > 0 {
		dial = append(dial, grpc.WithKeepaliveParams(opts.Keepalive))
	}
	return append(dial, opts.DialOptions...)
}

// Run keeps the conversation going until ctx is done, and returns when nothing of it is left running. It is called once.
func (c *Client) Run(ctx context.Context) {
	for target := 0; ctx.Err() == nil; {
		attempt, cancel := context.WithCancelCause(ctx)
		c.begin(cancel, c.opts.Targets[target])
		heard, err := c.serve(attempt, c.opts.Targets[target])
		if heard {
			c.backoff.reset()
		} else {
			target = (target + 1) % len(c.opts.Targets)
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(context.Cause(attempt), errRestart):
			c.log.Info("xDS stream is redone", zap.String("method", c.method), zap.String("target", c.State().Target))
		default:
			c.failed(err)
			sleep(attempt, c.backoff.next())
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

func (c *Client) begin(cancel context.CancelCauseFunc, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restart, c.state.Target = cancel, target
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
	return c.state
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
