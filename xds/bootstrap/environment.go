//lint:file-ignore SA1019 the deprecated http2_protocol_options says all that is needed without another message

package bootstrap

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// The variables and what they are where they are not set.
const (
	serverVariable       = "XDS_SERVER"          // host:port of the control plane
	nodeVariable         = "XDS_NODE_ID"         // node.id
	clusterVariable      = "XDS_CLUSTER"         // node.cluster
	connectVariable      = "XDS_CONNECT_TIMEOUT" // a Go duration
	adminVariable        = "ENVOY_ADMIN_PORT"    // that the admin server listens on
	adminAddressVariable = "ENVOY_ADMIN_ADDRESS" // that it listens on, an IP address

	defaultServer       = "api-server:18000"
	defaultNode         = "alb-node"
	defaultCluster      = "marchproxy-cluster"
	defaultConnect      = "5s"
	defaultAdmin        = "9901"
	defaultAdminAddress = "0.0.0.0"
)

// maxConnectTimeout is longer than any network needs, and short enough to notice a wrong unit.
const maxConnectTimeout = time.Hour

// controlPlaneName is the name of the cluster made for XDS_SERVER.
const controlPlaneName = "xds_cluster"

// environment holds the variables, checked.
type environment struct {
	server        config.Address // IP may be a host name
	node, cluster string
	connect       time.Duration
	admin         config.Address
	set           map[string]bool // the variables that are not empty
}

// FromEnvironment returns the bootstrap that the variables describe: the admin server, and listeners and clusters from the
// control plane.
func FromEnvironment(env func(string) string) (*Bootstrap, error) {
	b, err := decode(&bootstrapv3.Bootstrap{})
	if err != nil {
		return nil, err
	}
	if _, err := Complete(b, env); err != nil {
		return nil, err
	}
	return b, nil
}

// Complete takes from the environment what b leaves out: the node's id and cluster, the admin server, and the control
// plane when b has neither static listeners nor dynamic resources. What b has stays, and each variable that is set and
// says otherwise gets a note. The error has a line for each variable with a bad value; b is then as it was.
func Complete(b *Bootstrap, env func(string) string) (notes []string, err error) {
	e, err := readEnvironment(env)
	if err != nil {
		return nil, err
	}
	written := proto.Clone(b.Proto).(*bootstrapv3.Bootstrap)
	node := written.GetNode()
	if node.GetId() == "" {
		node.Id = e.node
	}
	if node.GetCluster() == "" {
		node.Cluster = e.cluster
	}
	if !b.HasAdmin {
		if written.Admin == nil {
			written.Admin = &bootstrapv3.Admin{}
		}
		written.Admin.Address = socketAddress(e.admin)
	}
	if b.ADS == nil && b.LDS == nil && b.CDS == nil && len(b.Listeners) == 0 {
		e.addControlPlane(written)
	}
	completed, err := decode(written)
	if err != nil {
		return nil, err
	}
	completed.note(b.notes)
	*b = *completed
	return e.contradictions(b), nil
}

// readEnvironment reads and checks all variables.
func readEnvironment(env func(string) string) (*environment, error) {
	e := &environment{set: make(map[string]bool)}
	get := func(name, absent string) string {
		if v := env(name); v != "" {
			// An image sets all variables: at its default, one contradicts nobody.
			e.set[name] = v != absent
			return v
		}
		return absent
	}
	var errs []error
	var err error
	if e.server, err = parseServer(get(serverVariable, defaultServer)); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", serverVariable, err))
	}
	e.node, e.cluster = get(nodeVariable, defaultNode), get(clusterVariable, defaultCluster)
	timeout := get(connectVariable, defaultConnect)
	if e.connect, err = time.ParseDuration(timeout); err != nil || e.connect <= 0 || e.connect > maxConnectTimeout {
		errs = append(errs, fmt.Errorf("%s: %q must be a duration like 5s, more than 0s and at most %s", connectVariable, timeout, maxConnectTimeout))
	}
	port := get(adminVariable, defaultAdmin)
	if e.admin.Port, err = parsePort(port); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", adminVariable, err))
	}
	address := get(adminAddressVariable, defaultAdminAddress)
	if ip, err := netip.ParseAddr(address); err != nil {
		errs = append(errs, fmt.Errorf("%s: %q must be an IP address, like 127.0.0.1 or ::1", adminAddressVariable, address))
	} else {
		e.admin.IP = ip.String()
	}
	return e, errors.Join(errs...)
}

// parseServer parses "host:port".
func parseServer(s string) (config.Address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return config.Address{}, fmt.Errorf("%q must be host:port, like %s", s, defaultServer)
	}
	n, err := parsePort(port)
	if err != nil {
		return config.Address{}, fmt.Errorf("%q must be host:port, like %s: %w", s, defaultServer, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	} else if !resource.ValidHostName(host) {
		return config.Address{}, fmt.Errorf("%q is not a host name or an IP address", host)
	}
	return config.Address{IP: host, Port: n}, nil
}

func parsePort(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q must be a port from 1 to 65535", s)
	}
	return uint32(n), nil
}

// addControlPlane adds the control plane and asks it for listeners and clusters.
func (e *environment) addControlPlane(written *bootstrapv3.Bootstrap) {
	if written.StaticResources == nil {
		written.StaticResources = &bootstrapv3.Bootstrap_StaticResources{}
	}
	static := written.StaticResources
	name := controlPlaneName
	for n := 2; slices.ContainsFunc(static.GetClusters(), func(c *clusterv3.Cluster) bool { return c.GetName() == name }); n++ {
		name = controlPlaneName + "_" + strconv.Itoa(n)
	}
	static.Clusters = append(static.Clusters, e.controlPlane(name))
	ads := func() *corev3.ConfigSource {
		return &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
			ResourceApiVersion:    corev3.ApiVersion_V3,
		}
	}
	written.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: ads(),
		CdsConfig: ads(),
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: name},
			}}},
		},
	}
}

// controlPlane returns the cluster of the control plane.
func (e *environment) controlPlane(name string) *clusterv3.Cluster {
	kind := clusterv3.Cluster_STRICT_DNS
	if _, err := netip.ParseAddr(e.server.IP); err == nil {
		kind = clusterv3.Cluster_STATIC
	}
	endpoint := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
		Endpoint: &endpointv3.Endpoint{Address: socketAddress(e.server)},
	}}
	return &clusterv3.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: kind},
		ConnectTimeout:       durationpb.New(e.connect),
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints:   []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{endpoint}}},
		},
	}
}

func socketAddress(a config.Address) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       a.IP,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: a.Port},
	}}}
}

// contradictions returns a note for each variable that is set and that b does not follow.
func (e *environment) contradictions(b *Bootstrap) []string {
	var notes []string
	note := func(variable, value, used string) {
		if e.set[variable] && value != used {
			notes = append(notes, fmt.Sprintf("%s=%s is not used, the bootstrap says %s", variable, value, used))
		}
	}
	note(nodeVariable, e.node, b.Node.GetId())
	note(clusterVariable, e.cluster, b.Node.GetCluster())
	port, ip := strconv.FormatUint(uint64(b.Admin.Port), 10), b.Admin.IP
	if b.Admin.Path != "" {
		port, ip = b.Admin.Path, b.Admin.Path
	}
	note(adminVariable, strconv.FormatUint(uint64(e.admin.Port), 10), port)
	note(adminAddressVariable, e.admin.IP, ip)
	if b.ADS == nil {
		if e.set[serverVariable] {
			notes = append(notes, fmt.Sprintf("%s=%s is not used, the bootstrap has static listeners and no control plane", serverVariable, e.server))
		}
		return notes
	}
	server := &b.ADS.Servers[0]
	if !slices.Contains(server.Targets, e.server) {
		note(serverVariable, e.server.String(), server.Targets[0].String())
	}
	note(connectVariable, e.connect.String(), server.ConnectTimeout.String())
	return notes
}
