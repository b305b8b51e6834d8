package xds

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/outbound/bind"
	"github.com/penguintechinc/marchproxy-alb/outbound/grpcstats"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/credentials"
	"github.com/penguintechinc/marchproxy-alb/xds/rest"
)

// stream makes a gRPC stream to a control plane.
func (s *sources) stream(x *bootstrap.ControlPlane, types []ads.Type, from config.ConfigSource) (transport, error) {
	servers := make([]ads.Server, len(x.Servers))
	var scopes []*stats.Scope
	for i := range x.Servers {
		var err error
		if servers[i], err = s.server(&x.Servers[i]); err != nil {
			return nil, err
		}
		counting, scope := s.counting(&x.Servers[i])
		servers[i].DialOptions = append(counting, s.dial...)
		if scope != nil {
			scopes = append(scopes, scope)
		}
	}
	client, err := ads.New(ads.Options{
		Servers:                servers,
		Node:                   s.boot.Node,
		NodeOnFirstMessageOnly: x.SetNodeOnFirstMessageOnly,
		Incremental:            x.Incremental,
		OwnService:             !from.Aggregated(),
		Types:                  types,
		RateLimit:              ads.RateLimit(x.RateLimit),
		OnDisconnect:           func(error) { s.lost(keyOf(from, types[0].URL), false) },
		Logger:                 s.m.log,
	})
	if err != nil {
		return nil, err // not client: a nil one would be a transport
	}
	return &stream{client, scopes}, nil
}

// stream is a gRPC stream, with the statistics that it alone has.
type stream struct {
	*ads.Client
	scopes []*stats.Scope
}

// Run implements transport.
func (s *stream) Run(ctx context.Context) {
	s.Client.Run(ctx)
	for _, scope := range s.scopes {
		scope.Release()
	}
}

// server describes a server to the client of a stream.
func (s *sources) server(x *bootstrap.Server) (ads.Server, error) {
	sent := metadata.MD{}
	for _, entry := range x.InitialMetadata {
		sent.Append(entry.Key, entry.Value)
	}
	server := ads.Server{
		Targets:         targets(x),
		Metadata:        sent,
		Authority:       cmp.Or(x.Authority, x.Cluster),
		ConnectTimeout:  x.ConnectTimeout,
		MaxReceiveBytes: x.MaxReceiveBytes,
		Keepalive: keepalive.ClientParameters{
			Time:                x.KeepaliveInterval,
			Timeout:             x.KeepaliveTimeout,
			PermitWithoutStream: true,
		},
		BackoffBase: x.BackoffBase,
		BackoffMax:  x.BackoffMax,
	}
	if x.Credential != nil {
		server.Sign = credentials.Header(x.Credential)
	}
	if x.TLS != nil {
		secured, err := s.secured(x)
		if err != nil {
			return ads.Server{}, err
		}
		server.Credentials = secured.ForGRPC
	}
	return server, nil
}

// counting returns the options by which a client of a server counts, and where it does if that is the client's alone.
func (s *sources) counting(x *bootstrap.Server) ([]grpc.DialOption, *stats.Scope) {
	switch {
	case x.Cluster != "":
		return grpcstats.DialOptions(s.counts(x), bind.Dialer(x.Bind)), nil
	case s.google != nil:
		scope := s.google(x.StatPrefix)
		return grpcstats.GoogleOptions(scope), scope
	}
	return nil, nil
}

// counts returns how to find what counts for a server.
func (s *sources) counts(x *bootstrap.Server) func() *outbound.Cluster {
	return func() *outbound.Cluster { return s.outbound(x.Cluster) }
}

// secured returns the TLS of the connections to a server.
func (s *sources) secured(x *bootstrap.Server) (*credentials.Context, error) {
	names := make(map[string]string, len(x.Hostnames))
	for _, a := range x.Targets {
		if name := x.Hostnames[a.String()]; name != "" {
			names[target(a)] = name
		}
	}
	c, err := credentials.New(x.TLS, credentials.Options{
		Static: s.boot.SecretsByKey(), Names: names, Logger: s.m.log.With(zap.String("cluster", cmp.Or(x.Cluster, x.StatPrefix))),
		Shaken: func(c tls.Conn, err error) { s.outbound(x.Cluster).CountHandshake(c, err) },
	})
	if err != nil {
		if x.Cluster == "" {
			return nil, fmt.Errorf("google_grpc %q: ssl_credentials: %w", x.StatPrefix, err)
		}
		return nil, fmt.Errorf("cluster %q: transport_socket: %w", x.Cluster, err)
	}
	return c, nil
}

// polls makes the transport of a control plane that is polled.
func (s *sources) polls(x *bootstrap.ControlPlane, types []ads.Type, from config.ConfigSource) (transport, error) {
	server := &x.Servers[0]
	var secured *credentials.Context // nil for plaintext
	if server.TLS != nil {
		var err error
		if secured, err = s.secured(server); err != nil {
			return nil, err
		}
	}
	counts, dialer := s.counts(server), bind.Dialer(server.Bind)
	opened, err := rest.New(rest.Options{
		Targets:         targets(server),
		Host:            server.Cluster,
		Node:            s.boot.Node,
		Types:           types,
		RefreshDelay:    x.Polls.RefreshDelay,
		RequestTimeout:  x.Polls.RequestTimeout,
		MaxReceiveBytes: server.MaxReceiveBytes,
		HTTP2:           server.HTTP2,
		Begin:           func() *outbound.Request { return counts().Begin() },
		Dial: func(ctx context.Context, target string) (net.Conn, error) {
			return counts().Dial(ctx, target, func(ctx context.Context) (net.Conn, error) { return secured.Dial(ctx, dialer, target, server.HTTP2) })
		},

		RejectUnknownFields: s.m.unknown.policy == RejectUnknownFields,
		OnUnknownFields:     func(fields []string) { s.m.unknown.note(server.Cluster, fields) },
		OnFailure:           func(error) { s.lost(keyOf(from, types[0].URL), false) },
		Logger:              s.m.log,
	})
	if err != nil {
		return nil, err // not opened: a nil one would be a transport
	}
	return opened, nil
}

// targets returns the addresses of a server as transports take them.
func targets(x *bootstrap.Server) []string {
	out := make([]string, len(x.Targets))
	for i, a := range x.Targets {
		out[i] = target(a)
	}
	return out
}

// target returns an address as gRPC names it: "host:port", or by a URI of the scheme unix or unix-abstract.
func target(a config.Address) string {
	switch {
	case a.Path == "":
		return a.String()
	case a.Path[0] == '@':
		return "unix-abstract:" + a.Path[1:]
	case a.Path[0] == '/':
		return "unix://" + (&url.URL{Path: a.Path}).EscapedPath()
	default:
		return "unix:" + a.Path
	}
}
