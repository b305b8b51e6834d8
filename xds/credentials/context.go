package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/tls"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// Context makes the TLS of connections to one control plane. Its methods may be called from any goroutine.
type Context struct {
	asked *config.UpstreamTLS
	Options

	mu      sync.Mutex    // guards all below
	last    *tls.Upstream // that could be made, nil for none
	refused string        // why none could be made, as it was logged last
}

// Options are what a Context needs beside what the cluster asks for. All are read-only from here on.
type Options struct {
	// Static are the secrets that need not be read from files.
	Static tls.Secrets
	// Names are the host names of targets that do not begin with theirs.
	Names  map[string]string
	Logger *zap.Logger
	// Shaken, when not nil, is told how hands were shaken on a connection, or why they were not.
	Shaken func(tls.Conn, error)
}

// New returns a Context of what the cluster asks for. Without secrets in files, everything must be there already; those may come later,
// and connections fail until then.
func New(asked *config.UpstreamTLS, o Options) (*Context, error) {
	c := &Context{asked: asked, Options: o}
	inFiles := false
	for _, ref := range asked.Secrets() {
		if o.Static[ref.Key()] != nil {
			continue
		}
		if ref.SDS.Source.Path == "" {
			return nil, fmt.Errorf("secret %q of a control plane must be static or come from a file (path_config_source)", ref.Name)
		}
		inFiles = true
	}
	if _, err := c.current(); err != nil && !inFiles {
		return nil, err
	}
	return c, nil
}

// current returns what the files say now, or what they said when they could be used last.
func (c *Context) current() (*tls.Upstream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	made, err := c.make()
	if err == nil {
		c.last, c.refused = made, ""
		return made, nil
	}
	if reason := err.Error(); reason != c.refused {
		c.refused = reason
		c.Logger.Warn("TLS to the control plane cannot be set up from its files", zap.Bool("earlier_files_are_used", c.last != nil), zap.Error(err))
	}
	if c.last != nil {
		return c.last, nil
	}
	return nil, err
}

// make reads the secrets and all files.
func (c *Context) make() (*tls.Upstream, error) {
	secrets := make(tls.Secrets)
	for _, ref := range c.asked.Secrets() {
		secret := c.Static[ref.Key()]
		if secret == nil {
			var err error
			if secret, err = load(ref); err != nil {
				return nil, err
			}
		}
		secrets[ref.Key()] = secret
	}
	return tls.NewUpstream(c.asked, secrets, time.Now)
}

// load returns the secret that a file has.
func load(ref config.SecretRef) (*config.Secret, error) {
	path := ref.SDS.Source.Path
	r := &discoveryv3.DiscoveryResponse{}
	if _, err := protofile.Load(path, r, protofile.Options{AllowUnknown: true}); err != nil {
		return nil, fmt.Errorf("secret %q: %w", ref.Name, err)
	}
	for i, packed := range r.GetResources() {
		name, message, err := resource.Unmarshal(resource.SecretType, packed)
		if err != nil {
			return nil, fmt.Errorf("secret %q: file %q: resource %d: %w", ref.Name, path, i, err)
		}
		if name != ref.Name {
			continue
		}
		secret, err := resource.Secret(message.(*tlsv3.Secret))
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", path, err)
		}
		return secret, nil
	}
	return nil, fmt.Errorf("secret %q is not in file %q", ref.Name, path)
}

// handshake makes a connection to target, "host:port", out of the one on wire. alpn are the protocols to offer where the cluster
// names none; what is agreed on must be the first, or nothing.
func (c *Context) handshake(ctx context.Context, wire net.Conn, target string, alpn []string) (net.Conn, error) {
	made, err := c.current()
	if err != nil {
		return nil, err
	}
	conn, err := made.Client(wire, tls.Names{Host: cmp.Or(c.Names[target], hostName(target))}, alpn)
	if err != nil {
		return nil, err
	}
	err = conn.HandshakeContext(ctx)
	if c.Shaken != nil {
		c.Shaken(conn, err)
	}
	if err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	if got := conn.Peer().Protocol; got != "" && got != alpn[0] {
		return nil, fmt.Errorf("the control plane chose the protocol %q, want %q", got, alpn[0])
	}
	return conn, nil
}

// hostName returns the host of "host:port", empty when it is an IP address.
func hostName(target string) string {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

// What HTTP versions are called in ALPN (RFC 9113 section 3.1, RFC 7301 section 6).
const (
	http1 = "http/1.1"
	http2 = "h2"
)

// Dial connects to a target, "host:port", by the dialer for HTTP/2 or else HTTP/1.1; without TLS for a nil Context.
func (c *Context) Dial(ctx context.Context, dialer *net.Dialer, target string, overHTTP2 bool) (net.Conn, error) {
	wire, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil || c == nil {
		return wire, err
	}
	protocol := http1
	if overHTTP2 {
		protocol = http2
	}
	conn, err := c.handshake(ctx, wire, target, []string{protocol})
	if err != nil {
		return nil, errors.Join(err, wire.Close())
	}
	return conn, nil
}
