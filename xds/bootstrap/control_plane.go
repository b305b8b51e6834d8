//lint:file-ignore SA1019 bootstraps still have the deprecated fields

package bootstrap

import (
	"fmt"
	"slices"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ControlPlane tells how to reach a control plane (ApiConfigSource).
type ControlPlane struct {
	// Servers are what it can be reached by, at least one, in the order in which they are tried. A control plane that is polled has
	// one.
	Servers []Server
	// Incremental asks for the incremental variant of the protocol (api_type DELTA_GRPC).
	Incremental bool
	// SetNodeOnFirstMessageOnly sends the node in the first request of a stream only.
	SetNodeOnFirstMessageOnly bool
	// RateLimit bounds the requests on a stream; the zero value does not.
	RateLimit RateLimit

	// Polls is set where it is polled over HTTP (api_type REST) instead of a stream.
	Polls *Polls
}

// Server is an entry of grpc_services and the static cluster behind it, or that of cluster_names.
type Server struct {
	// Cluster is the name of the static cluster that it is, empty for one that google_grpc describes, whose statistics StatPrefix names.
	Cluster, StatPrefix string
	// Targets are the addresses of its endpoints in order of priority, at least one. IP holds a host name in a cluster
	// that is resolved by DNS.
	Targets []config.Address
	// Hostnames are the host names of endpoints that have one of their own, by the texts of their Targets; nil for none.
	Hostnames map[string]string
	// Authority is sent as :authority, empty for the name of the cluster, or the target where there is none.
	Authority string
	// InitialMetadata is sent when a stream is opened.
	InitialMetadata []config.Metadata

	ConnectTimeout time.Duration
	// KeepaliveInterval and KeepaliveTimeout are those of HTTP/2 connection_keepalive; an interval of 0 means no pings.
	KeepaliveInterval, KeepaliveTimeout time.Duration
	// MaxReceiveBytes bounds a message from the control plane.
	MaxReceiveBytes int
	// BackoffBase and BackoffMax bound the wait before a new attempt (retry_back_off), both 0 for the defaults.
	BackoffBase, BackoffMax time.Duration
	// Bind is where connections begin, nil for anywhere.
	Bind *config.Bind
	// TLS is that of the connections, nil for plaintext. Its secrets come from files.
	TLS *config.UpstreamTLS
	// Credential is nil for none. A control plane that is polled has none.
	Credential *Credential
	// HTTP2 tells that the cluster is configured for HTTP/2. A stream speaks that in any case.
	HTTP2 bool
}

// RateLimit is a token bucket for requests (rate_limit_settings).
type RateLimit struct {
	MaxTokens uint32  // 0 for no limit
	FillRate  float64 // tokens a second
}

// Polls tells how a control plane is polled.
type Polls struct {
	RefreshDelay   time.Duration // between polls, at least 1 ms
	RequestTimeout time.Duration // of each, 0 for the default of the API
}

// defaultMaxReceive bounds a message from the control plane where max_receive_message_length does not. One response
// holds all clusters or all endpoints, tens of thousands of them at a few hundred bytes each.
const defaultMaxReceive = 64 << 20

// maxServers bounds the entries of grpc_services. Each is tried before the first is tried again, so more would not help; Envoy takes
// two.
const maxServers = 8

// adsPath is the field of the aggregated stream.
const adsPath = "dynamic_resources.ads_config"

const streamOnly = "has no effect on a stream"

var (
	dynamicFields = map[protoreflect.Name]string{"lds_config": handled, "cds_config": handled, "ads_config": handled}
	apiFields     = map[protoreflect.Name]string{
		"api_type": handled, "transport_api_version": handled, "grpc_services": handled,
		"set_node_on_first_message_only": handled,
		"refresh_delay":                  handled, "request_timeout": handled, "rate_limit_settings": handled,
		"cluster_names": handled,
	}
)

// dynamicResources decodes what is asked of control planes.
func (d *decoder) dynamicResources(written *bootstrapv3.Bootstrap) {
	r := written.GetDynamicResources()
	d.fields("dynamic_resources", r, dynamicFields)
	if ads := r.GetAdsConfig(); ads != nil {
		d.out.ADS = d.controlPlane(adsPath, ads, written)
	}
	d.out.LDS = d.discovery("dynamic_resources.lds_config", r.GetLdsConfig(), written)
	d.out.CDS = d.discovery("dynamic_resources.cds_config", r.GetCdsConfig(), written)
}

func (d *decoder) add(err error) {
	if err != nil {
		d.errs = append(d.errs, err)
	}
}

// controlPlane decodes an ApiConfigSource, at the field path.
func (d *decoder) controlPlane(path string, api *corev3.ApiConfigSource, written *bootstrapv3.Bootstrap) *ControlPlane {
	x := &ControlPlane{SetNodeOnFirstMessageOnly: api.GetSetNodeOnFirstMessageOnly()}
	d.fields(path, api, apiFields)
	if v := api.GetTransportApiVersion(); v != corev3.ApiVersion_V3 && v != corev3.ApiVersion_AUTO {
		d.errorf(path+".transport_api_version", "%s is not supported, only V3", v)
	}
	switch t := api.GetApiType(); t {
	case corev3.ApiConfigSource_GRPC:
		d.stream(path, api, x)
	case corev3.ApiConfigSource_DELTA_GRPC:
		x.Incremental = true
		d.stream(path, api, x)
	case corev3.ApiConfigSource_REST:
		d.polls(path, api, x)
	default:
		d.errorf(path+".api_type", "%s is not supported, only GRPC, DELTA_GRPC and REST", t)
	}
	for i := range x.Servers {
		named := fmt.Sprintf("%s.grpc_services[%d].envoy_grpc.cluster_name", path, i)
		if x.Polls != nil {
			named = path + ".cluster_names[0]"
		}
		if x.Servers[i].Cluster != "" {
			d.backing(named, written, &x.Servers[i])
		}
		if x.Polls != nil && slices.ContainsFunc(x.Servers[i].Targets, func(a config.Address) bool { return a.Path != "" }) {
			d.errorf(named, "a pipe of cluster %q is not supported for polls, only for streams", x.Servers[i].Cluster)
		}
		if x.Polls != nil && x.Servers[i].Credential != nil {
			d.errorf(named, "the credential_injector of cluster %q is not supported for polls, only for streams", x.Servers[i].Cluster)
		}
	}
	return x
}

// stream decodes what a gRPC stream needs.
func (d *decoder) stream(path string, api *corev3.ApiConfigSource, x *ControlPlane) {
	if len(api.GetClusterNames()) > 0 {
		d.errorf(path+".cluster_names", "must not be set with api_type %s, grpc_services has the cluster", api.GetApiType())
	}
	if api.GetRefreshDelay() != nil {
		d.warnf(path+".refresh_delay", streamOnly)
	}
	if api.GetRequestTimeout() != nil {
		d.warnf(path+".request_timeout", streamOnly)
	}
	services := api.GetGrpcServices()
	if n := len(services); n == 0 || n > maxServers {
		d.errorf(path+".grpc_services", "must have 1 to %d entries, has %d", maxServers, n)
		return
	}
	for i, s := range services {
		x.Servers = append(x.Servers, d.grpcService(fmt.Sprintf("%s.grpc_services[%d]", path, i), s))
	}
	if r := api.GetRateLimitSettings(); r != nil {
		x.RateLimit = d.rateLimit(path+".rate_limit_settings", r)
	}
}

// polls decodes what polls over HTTP need.
func (d *decoder) polls(path string, api *corev3.ApiConfigSource, x *ControlPlane) {
	if path == adsPath {
		d.errorf(path+".api_type", "REST is not supported for the aggregated stream, only GRPC and DELTA_GRPC")
		return
	}
	if len(api.GetGrpcServices()) > 0 {
		d.errorf(path+".grpc_services", "must not be set with api_type REST, cluster_names has the cluster")
	}
	if names := api.GetClusterNames(); len(names) != 1 || names[0] == "" {
		d.errorf(path+".cluster_names", "must have exactly one entry with api_type REST")
	} else {
		x.Servers = []Server{{Cluster: names[0], MaxReceiveBytes: defaultMaxReceive}}
	}
	x.Polls = &Polls{RefreshDelay: api.GetRefreshDelay().AsDuration()}
	if x.Polls.RefreshDelay < time.Millisecond {
		d.errorf(path+".refresh_delay", "must be at least 1ms with api_type REST")
	}
	if t := api.GetRequestTimeout(); t != nil {
		if x.Polls.RequestTimeout = t.AsDuration(); x.Polls.RequestTimeout <= 0 {
			d.errorf(path+".request_timeout", "must be more than 0s")
		}
	}
}
