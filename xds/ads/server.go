package ads

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// DefaultConnectTimeout bounds one attempt to connect, as Cluster.connect_timeout does by default.
const DefaultConnectTimeout = 5 * time.Second

// Server is how a control plane is reached (an entry of grpc_services). Targets is required.
type Server struct {
	// Targets are the addresses as gRPC names them, such as "host:port", in the order in which they are tried.
	Targets []string
	// Metadata is sent when a stream is opened (initial_metadata). It is read-only from here on.
	Metadata metadata.MD
	// Sign, when not nil, makes of Metadata what is sent, anew for each stream. Its error ends the attempt.
	Sign func(metadata.MD) (metadata.MD, error)
	// Authority overrides the :authority of the stream when not empty.
	Authority string
	// ConnectTimeout bounds one attempt to connect; 0 means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// MaxReceiveBytes is the largest response that is taken; 0 means DefaultMaxReceiveBytes.
	MaxReceiveBytes int
	// Keepalive sends HTTP/2 pings when its Time is not 0. A server may close connections that ping more often than it
	// allows, which for gRPC servers is once in 5 minutes unless configured.
	Keepalive keepalive.ClientParameters
	// BackoffBase and BackoffMax are those of the wait after a failed attempt (retry_back_off of envoy_grpc.retry_policy); 0 means
	// DefaultBackoffBase, DefaultBackoffMax.
	BackoffBase, BackoffMax time.Duration
	// Credentials returns those of connections to a target; nil means plaintext.
	Credentials func(target string) credentials.TransportCredentials
	// DialOptions come last, so they can replace the credentials and the dialer.
	DialOptions []grpc.DialOption
}

// place is a target of a server.
type place struct {
	server int
	target string
	dial   []grpc.DialOption
}

// dialOptions are those of every connection. The waits between attempts are the Client's, not gRPC's: each attempt is a
// connection of its own, so gRPC's back-off never applies.
func (s *Server) dialOptions(target string) []grpc.DialOption {
	connectTimeout := cmp.Or(s.ConnectTimeout, DefaultConnectTimeout)
	maxReceive := cmp.Or(s.MaxReceiveBytes, DefaultMaxReceiveBytes)
	transport := insecure.NewCredentials()
	if s.Credentials != nil {
		transport = s.Credentials(target)
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithNoProxy(),
	}
	if s.Authority != "" {
		dial = append(dial, grpc.WithAuthority(s.Authority))
	}
	if s.Keepalive.Time > 0 {
		dial = append(dial, grpc.WithKeepaliveParams(s.Keepalive))
	}
	return append(dial, s.DialOptions...)
}

// sent returns what is sent when a stream is opened.
func (s *Server) sent() (metadata.MD, error) {
	if s.Sign == nil {
		return s.Metadata, nil
	}
	return s.Sign(s.Metadata)
}

// What rate_limit_settings means where it does not say.
const (
	DefaultMaxTokens = 100
	DefaultFillRate  = 10 // a second
)

// RateLimit is a token bucket. It begins full and outlives streams.
type RateLimit struct {
	// MaxTokens is how many requests may be sent at once after a pause. 0 means no limit at all.
	MaxTokens uint32
	// FillRate is how many requests a second may be sent in the long run, finite and greater than 0.
	FillRate float64
}

// limiter returns nil for no limit.
func (l RateLimit) limiter() (*rate.Limiter, error) {
	if l.MaxTokens == 0 {
		return nil, nil
	}
	if !(l.FillRate > 0) || math.IsInf(l.FillRate, 0) {
		return nil, fmt.Errorf("ads: fill_rate %v must be greater than 0 and finite", l.FillRate)
	}
	return rate.NewLimiter(rate.Limit(l.FillRate), int(min(l.MaxTokens, math.MaxInt32))), nil
}
