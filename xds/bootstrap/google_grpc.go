package bootstrap

import (
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const ownBuffers = "has no effect: what is sent to a control plane is not bounded by bytes but by requests, of which there is one per type"

var (
	googleGRPCFields = map[protoreflect.Name]string{
		"target_uri": handled, "stat_prefix": handled, "channel_credentials": handled, "channel_args": handled,
		"per_stream_buffer_limit_bytes": ownBuffers,
	}
	channelCredentialFields = map[protoreflect.Name]string{"ssl_credentials": handled, "local_credentials": handled}
	sslCredentialFields     = map[protoreflect.Name]string{"root_certs": handled, "private_key": handled, "cert_chain": handled}
	channelArgFields        = map[protoreflect.Name]string{"args": handled}
)

// maxHostName is the longest name in DNS as text (RFC 1035 section 2.3.4).
const maxHostName = 253

// googlePort is the port of a target that names none, as in gRPC.
const googlePort = 443

// googleGRPC decodes a google_grpc, a service that has no cluster.
func (d *decoder) googleGRPC(path string, g *corev3.GrpcService_GoogleGrpc, x *Server) {
	path += ".google_grpc"
	d.fields(path, g, googleGRPCFields)
	x.HTTP2, x.StatPrefix = true, g.GetStatPrefix()
	if x.StatPrefix == "" {
		d.errorf(path+".stat_prefix", "must not be empty")
	}
	target, ok := googleTarget(g.GetTargetUri())
	if !ok {
		d.errorf(path+".target_uri", "%q must be host:port, which dns:, ipv4: or ipv6: may precede, or unix: and a path", g.GetTargetUri())
		return
	}
	x.Targets = []config.Address{target}
	d.channelArgs(path+".channel_args", g.GetChannelArgs(), x)
	d.channelCredentials(path+".channel_credentials", g.GetChannelCredentials(), x)
	d.pipes(path+".target_uri", x)
}

// googleTarget returns the address that a target means, by https://github.com/grpc/grpc/blob/master/doc/naming.md. Lists of addresses
// and other resolvers are not known.
func googleTarget(uri string) (out config.Address, ok bool) {
	if path, pipe := strings.CutPrefix(uri, "unix:"); pipe {
		path = strings.TrimPrefix(path, "//")
		return config.Address{Path: path}, path != ""
	}
	if name, abstract := strings.CutPrefix(uri, "unix-abstract:"); abstract {
		return config.Address{Path: "@" + name}, name != ""
	}
	text := uri
	for _, scheme := range []string{"dns:///", "dns:", "ipv4:", "ipv6:"} {
		if rest, found := strings.CutPrefix(uri, scheme); found {
			text = rest
			break
		}
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), strconv.Itoa(googlePort)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	_, notIP := netip.ParseAddr(host)
	if err != nil || number == 0 || host == "" || notIP != nil && !isHostName(host) {
		return out, false
	}
	return config.Address{IP: host, Port: uint32(number)}, true
}

// isHostName reports whether a text may be a name in DNS.
func isHostName(host string) bool {
	return len(host) <= maxHostName && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

// channelArgs decodes those of GRPC_ARG_... in gRPC's grpc_types.h that have a meaning here.
func (d *decoder) channelArgs(path string, c *corev3.GrpcService_GoogleGrpc_ChannelArgs, x *Server) {
	d.fields(path, c, channelArgFields)
	for _, name := range slices.Sorted(maps.Keys(c.GetArgs())) {
		here := path + ".args[" + strconv.Quote(name) + "]"
		value := c.GetArgs()[name]
		number := func() time.Duration {
			n := value.GetIntValue()
			if n <= 0 || n > math.MaxInt32 {
				d.errorf(here, "must have an int_value of 1 to %d", math.MaxInt32)
				n = 1
			}
			return time.Duration(n)
		}
		switch name {
		case "grpc.keepalive_time_ms":
			x.KeepaliveInterval = number() * time.Millisecond
		case "grpc.keepalive_timeout_ms":
			x.KeepaliveTimeout = number() * time.Millisecond
		case "grpc.max_receive_message_length":
			x.MaxReceiveBytes = int(number())
		case "grpc.default_authority":
			if x.Authority = value.GetStringValue(); x.Authority == "" {
				d.errorf(here, "must have a string_value that is not empty")
			}
		case "grpc.keepalive_permit_without_calls", "grpc.http2.max_pings_without_data":
			d.warnf(here, streamOnly) // there always is one, with traffic or not
		default:
			d.errorf(here, "is not supported, only grpc.keepalive_time_ms, grpc.keepalive_timeout_ms, grpc.max_receive_message_length, "+
				"grpc.default_authority, grpc.keepalive_permit_without_calls and grpc.http2.max_pings_without_data")
		}
	}
}

// channelCredentials decodes how connections are secured. Without any, they are in plaintext.
func (d *decoder) channelCredentials(path string, c *corev3.GrpcService_GoogleGrpc_ChannelCredentials, x *Server) {
	d.fields(path, c, channelCredentialFields)
	target := &x.Targets[0]
	if c.GetLocalCredentials() != nil {
		if ip, err := netip.ParseAddr(target.IP); target.Path == "" && (err != nil || !ip.IsLoopback()) {
			d.errorf(path+".local_credentials", "is for a Unix domain socket or a loopback address, and %s is neither", target)
		}
		return
	}
	ssl := c.GetSslCredentials()
	if ssl == nil {
		return
	}
	path += ".ssl_credentials"
	d.fields(path, ssl, sslCredentialFields)
	if target.Path != "" {
		d.errorf(path, "needs a target with a name or an address, which its certificate is for, and %s has none", target)
		return
	}
	if (ssl.GetPrivateKey() == nil) != (ssl.GetCertChain() == nil) {
		d.errorf(path, "must have both of private_key and cert_chain, or none")
		return
	}
	packed, err := anypb.New(sslContext(ssl, target))
	if err != nil {
		d.errorf(path, "cannot be encoded: %v", err)
		return
	}
	// A cluster says the same, and its decoder knows how.
	cluster, err := resource.Cluster(&clusterv3.Cluster{Name: x.StatPrefix, TransportSocket: &corev3.TransportSocket{
		Name: "ssl_credentials", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed},
	}})
	if err != nil {
		d.failed(path, err)
		return
	}
	x.TLS = cluster.TLS
}

// sslContext returns the TLS that ssl_credentials mean: the server shows a certificate for the target's name or address, by the roots that
// are given or those of the system.
func sslContext(ssl *corev3.GrpcService_GoogleGrpc_SslCredentials, target *config.Address) *tlsv3.UpstreamTlsContext {
	trust := &tlsv3.CertificateValidationContext{TrustedCa: ssl.GetRootCerts()}
	if ssl.GetRootCerts() == nil {
		trust.SystemRootCerts = &tlsv3.CertificateValidationContext_SystemRootCerts{}
	}
	out := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: trust},
	}}
	if ssl.GetCertChain() != nil {
		out.CommonTlsContext.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: ssl.GetCertChain(), PrivateKey: ssl.GetPrivateKey()}}
	}
	if ip, err := netip.ParseAddr(target.IP); err == nil {
		trust.MatchTypedSubjectAltNames = []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_IP_ADDRESS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: ip.String()}},
		}}
		return out
	}
	out.Sni, out.AutoSniSanValidation = target.IP, true
	return out
}
