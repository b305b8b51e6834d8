package rest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

const (
	// DefaultRequestTimeout is that of ApiConfigSource.request_timeout.
	DefaultRequestTimeout = time.Second
	// minRefreshDelay is the least time between polls: Envoy counts it in milliseconds, and a control plane must be able to answer.
	minRefreshDelay = time.Millisecond
	// maxHeaderBytes bounds the head of a response: a status and a few fields.
	maxHeaderBytes = 64 << 10
)

// Options describe a Source. Targets, Host, Node, Types, RefreshDelay and Logger are required.
type Options struct {
	// Targets are the servers, as "host:port". After a poll that failed the next is asked.
	Targets []string
	// Host is the Host of requests. Envoy sends the name of the cluster.
	Host string
	// Node is what the proxy tells about itself. It is read-only from here on.
	Node *corev3.Node
	// Types is the one type that is polled for.
	Types []ads.Type

	// RefreshDelay is the time between a poll and the next, to which a random time below it is added. At least 1 ms.
	RefreshDelay time.Duration
	// RequestTimeout bounds a poll, the connection included; 0 means DefaultRequestTimeout.
	RequestTimeout time.Duration
	// MaxReceiveBytes is the largest response that is taken; 0 means ads.DefaultMaxReceiveBytes.
	MaxReceiveBytes int
	// RejectUnknownFields refuses a response with fields that the API does not have, instead of passing them over.
	RejectUnknownFields bool
	// OnUnknownFields, when not nil, is told of such fields otherwise, by their paths. It is called by the goroutine of Run.
	OnUnknownFields func([]string)

	// HTTP2 speaks HTTP/2 instead of HTTP/1.1.
	HTTP2 bool
	// Dial connects to a target; nil means TCP in plaintext. A connection over TLS speaks as HTTP2 says, so that must have been
	// agreed on.
	Dial func(ctx context.Context, target string) (net.Conn, error)
	// Begin, when not nil, counts a poll.
	Begin func() *outbound.Request
	// Jitter returns a random number in [0,n); nil means math/rand/v2's.
	Jitter func(n int64) int64
	// OnFailure, when not nil, is told of every poll that gave no response. It is called by the goroutine of Run.
	OnFailure func(error)
	Logger    *zap.Logger
}

// Source is a control plane that is polled. All methods may be called from any goroutine.
type Source struct {
	opts      Options
	path      string
	log       *zap.Logger
	unary     *ads.Unary
	transport *http.Transport
	target    int // among opts.Targets, owned by Run
}

// New checks opts and returns a Source that does nothing until Run.
func New(opts Options) (*Source, error) {
	switch {
	case len(opts.Targets) == 0:
		return nil, errors.New("rest: no target, want at least one host:port")
	case opts.Host == "":
		return nil, errors.New("rest: host must not be empty")
	case opts.Node.GetId() == "" || opts.Node.GetCluster() == "":
		return nil, fmt.Errorf("rest: node id %q and cluster %q must both be set", opts.Node.GetId(), opts.Node.GetCluster())
	case len(opts.Types) != 1:
		return nil, fmt.Errorf("rest: %d types, want exactly one", len(opts.Types))
	case opts.RefreshDelay < minRefreshDelay:
		return nil, fmt.Errorf("rest: refresh_delay %v is required, and must be at least %v", opts.RefreshDelay, minRefreshDelay)
	case opts.RequestTimeout < 0:
		return nil, fmt.Errorf("rest: request_timeout %v must be greater than 0", opts.RequestTimeout)
	case opts.Logger == nil:
		return nil, errors.New("rest: no logger")
	}
	path, ok := paths[opts.Types[0].URL]
	if !ok {
		return nil, fmt.Errorf("rest: type %s cannot be polled for", opts.Types[0].URL)
	}
	opts.setDefaults()
	s := &Source{
		opts:  opts,
		path:  path,
		log:   opts.Logger.With(zap.String("path", path)),
		unary: ads.NewUnary(opts.Types[0], opts.Targets[0]),
	}
	s.transport = s.newTransport()
	return s, nil
}

func (o *Options) setDefaults() {
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.MaxReceiveBytes == 0 {
		o.MaxReceiveBytes = ads.DefaultMaxReceiveBytes
	}
	if o.Begin == nil {
		o.Begin = func() *outbound.Request { return nil }
	}
	if o.Jitter == nil {
		o.Jitter = rand.Int64N
	}
	if o.Dial == nil {
		var dialer net.Dialer
		o.Dial = func(ctx context.Context, target string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", target)
		}
	}
}

// newTransport returns one for requests to URLs that have the index of a target for a host. It keeps a connection for the next poll.
func (s *Source) newTransport() *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			i, err := strconv.Atoi(host)
			if err != nil || i < 0 || i >= len(s.opts.Targets) {
				return nil, fmt.Errorf("BUG: a request to %q, which is no target", address)
			}
			return s.opts.Dial(ctx, s.opts.Targets[i])
		},
		DisableCompression:     true,
		MaxConnsPerHost:        1,
		MaxIdleConns:           1,
		IdleConnTimeout:        2*s.opts.RefreshDelay + s.opts.RequestTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(!s.opts.HTTP2)
	t.Protocols.SetUnencryptedHTTP2(s.opts.HTTP2) // with TLS, the connection that Dial returns is encrypted
	return t
}

// Run polls until ctx is done. It is called once.
func (s *Source) Run(ctx context.Context) {
	defer s.transport.CloseIdleConnections()
	next := time.NewTimer(s.opts.RefreshDelay) // the first poll comes with the first subscription
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.unary.Changed():
		case <-next.C:
		}
		if _, _, ok := s.unary.Wanted(); ok {
			s.poll(ctx)
		}
		next.Reset(s.opts.RefreshDelay + time.Duration(s.opts.Jitter(int64(s.opts.RefreshDelay))))
	}
}

// poll asks once and has the answer taken.
func (s *Source) poll(ctx context.Context) {
	s.unary.Attempted()
	body, err := s.fetch(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.failed(err)
		return
	case body == nil:
		s.unary.Unchanged()
		return
	}
	r, notes, err := decode(body, s.opts.RejectUnknownFields)
	for _, note := range notes.Dropped {
		s.log.Warn("response of the control plane: " + note)
	}
	if s.opts.OnUnknownFields != nil && len(notes.Unknown) > 0 {
		s.opts.OnUnknownFields(notes.Unknown)
	}
	if err != nil {
		s.unary.Refused()
	} else {
		err = s.unary.Take(ctx, r)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("response of the control plane is refused", zap.String("version", r.GetVersionInfo()), zap.Error(err))
	}
}

// failed takes note that nothing came, and turns to the next target.
func (s *Source) failed(err error) {
	s.unary.Failed(err)
	s.log.Warn("poll of the control plane failed", zap.String("target", s.opts.Targets[s.target]), zap.Error(err))
	s.transport.CloseIdleConnections()
	s.target = (s.target + 1) % len(s.opts.Targets)
	s.unary.Turn(s.opts.Targets[s.target])
	if s.opts.OnFailure != nil {
		s.opts.OnFailure(err)
	}
}

// Subscribe asks for the resources names of the type, instead of those asked for before, at once. No names means all resources for a
// Wildcard type, and none for another. Resources that are not asked for are passed over.
func (s *Source) Subscribe(url string, names []string) { s.unary.Subscribe(url, names) }

// Restart polls at once.
func (s *Source) Restart() { s.unary.Again() }

// State returns what is known about the control plane. It is Connected when it answered the last poll.
func (s *Source) State() ads.State { return s.unary.State() }

// Stats returns the counters of the type, zero ones for another.
func (s *Source) Stats(url string) ads.Stats { return s.unary.Stats(url) }
