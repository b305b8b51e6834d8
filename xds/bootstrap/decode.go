package bootstrap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// What a field that is set and listed nowhere means: it is refused. handled fields are decoded, the others are accepted
// with a warning that says why nothing happens.
const (
	handled     = ""
	deprecated  = "is deprecated and has no effect"
	noFunction  = "has no function here and is ignored"
	noOverload  = "has no effect: of the overload manager there is the limit on connections only, memory is bounded otherwise"
	noWatchdog  = "has no effect: there is no watchdog"
	noSinks     = "has no effect: statistics are read from the admin server"
	noHDS       = "has no effect: health checks are those of the clusters, there is no health discovery service"
	noXDSTP     = "has no effect: resources are not asked for by names that begin with xdstp://"
	noProviders = "has no effect: certificates come from files, texts and secrets only"
	onlyRE2     = "has no effect: expressions are RE2's"
	goResolver  = "has no effect: names are looked up by Go's resolver, as /etc/resolv.conf says"
	noEvents    = "has no effect: events of outlier detection are not logged"
	noLRS       = "has no effect: loads are not reported to a control plane"
	allAtOnce   = "has no effect: clusters are made when they come"
)

var (
	topFields = map[protoreflect.Name]string{
		"node": handled, "static_resources": handled, "dynamic_resources": handled, "admin": handled, "stats_config": handled,

		"watchdog": noWatchdog, "watchdogs": noWatchdog, "fatal_actions": noWatchdog,
		"layered_runtime": handled, "overload_manager": handled, "tracing": deprecated, "flags_path": deprecated,
		"stats_sinks": noSinks, "stats_flush_interval": noSinks, "stats_flush_on_admin": noSinks,
		"stats_eviction_interval": noSinks, "deferred_stat_options": noSinks, "enable_dispatcher_stats": noSinks,
		"stats_server_version_override": noSinks,
		"cluster_manager":               handled, "bootstrap_extensions": noFunction, "node_context_params": noFunction,
		"hds_config": noHDS, "config_sources": noXDSTP, "default_config_source": noXDSTP,
		"certificate_provider_instances": noProviders, "default_regex_engine": onlyRE2, "typed_dns_resolver_config": handled,
		"default_socket_interface": noFunction, "perf_tracing_file_path": noFunction, "inline_headers": noFunction,
		"application_log_config": noFunction, "grpc_async_client_manager_config": noFunction,
		"memory_allocator_manager": noFunction, "enable_worker_cpu_affinity": noFunction, "listener_manager": noFunction,
		"xds_config_tracker_extension": noFunction,
	}
	adminFields = map[protoreflect.Name]string{
		"address":         handled,
		"access_log_path": deprecated, "access_log": noFunction, "profile_path": handled, "socket_options": noFunction, "allow_paths": handled,
		"ignore_global_conn_limit": handled, // there is no such limit
	}
	clusterManagerFields = map[protoreflect.Name]string{
		"local_cluster_name": handled, "upstream_bind_config": handled, "outlier_detection": noEvents, "load_stats_config": noLRS,
		"enable_deferred_cluster_creation": allAtOnce,
	}
	staticFields = map[protoreflect.Name]string{
		"listeners": handled, "clusters": handled, "secrets": handled,
	}
)

// decoder gathers what is wrong with a bootstrap, and what has no effect.
type decoder struct {
	out    *Bootstrap
	static *Bootstrap // whose static secrets there are
	errs   []error
}

// decode checks and decodes a bootstrap, which it keeps.
func decode(written *bootstrapv3.Bootstrap) (*Bootstrap, error) {
	if written.Node == nil {
		written.Node = &corev3.Node{}
	}
	d := decoder{out: &Bootstrap{Proto: written, Node: written.Node}}
	d.static = d.out
	d.constraints(written)
	d.fields("", written, topFields)
	d.fields("cluster_manager", written.GetClusterManager(), clusterManagerFields)
	d.bind(written.GetClusterManager().GetUpstreamBindConfig())
	d.dnsResolver(written.GetTypedDnsResolverConfig())
	d.overload(written.GetOverloadManager())
	d.admin(written.GetAdmin())
	d.stats(written.GetStatsConfig())
	d.runtime(written.GetLayeredRuntime(), written)
	d.fields("static_resources", written.GetStaticResources(), staticFields)
	d.secrets(written.GetStaticResources().GetSecrets())
	d.dynamicResources(written)
	d.listeners(written.GetStaticResources().GetListeners())
	d.clusters(written)
	d.localCluster(written)
	if err := errors.Join(d.errs...); err != nil {
		return nil, err
	}
	return d.out, nil
}

// bind decodes where connections to hosts begin.
func (d *decoder) bind(written *corev3.BindConfig) {
	var err error
	if d.out.Bind, err = resource.UpstreamBind("cluster_manager.upstream_bind_config", written); err != nil {
		d.errs = append(d.errs, err)
	}
}

// errorf reports an error at a path.
func (d *decoder) errorf(path, format string, args ...any) {
	d.errs = append(d.errs, errors.New(path+": "+fmt.Sprintf(format, args...)))
}

// failed reports an error of another decoder that found it at path.
func (d *decoder) failed(path string, err error) {
	if err != nil {
		d.errs = append(d.errs, protofile.Prefixed(path, err))
	}
}

func (d *decoder) warnf(path, format string, args ...any) {
	d.out.Warnings = append(d.out.Warnings, path+": "+fmt.Sprintf(format, args...))
}

// constraints checks what the .proto files declare, without the static resources, which their own decoders check, and
// without what has no effect.
func (d *decoder) constraints(written *bootstrapv3.Bootstrap) {
	checked := &bootstrapv3.Bootstrap{
		Node: written.GetNode(), DynamicResources: written.GetDynamicResources(), Admin: written.GetAdmin(),
		StatsConfig: written.GetStatsConfig(), LayeredRuntime: written.GetLayeredRuntime(),
	}
	if err := resource.Validate("bootstrap", checked); err != nil {
		d.errs = append(d.errs, err)
	}
}

// fields refuses or warns of the fields of m that are set, by the table known.
func (d *decoder) fields(path string, m proto.Message, known map[protoreflect.Name]string) {
	var set []protoreflect.FieldDescriptor
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		set = append(set, fd)
		return true
	})
	slices.SortFunc(set, func(x, y protoreflect.FieldDescriptor) int { return int(x.Number()) - int(y.Number()) })
	for _, fd := range set {
		here := string(fd.Name())
		if path != "" {
			here = path + "." + here
		}
		switch reason, ok := known[fd.Name()]; {
		case !ok:
			d.errorf(here, "is not supported")
		case reason != handled:
			d.warnf(here, "%s", reason)
		}
	}
}

// admin decodes the address of the admin server. Without one there is none.
func (d *decoder) admin(a *bootstrapv3.Admin) {
	d.fields("admin", a, adminFields)
	d.out.ProfilePath = a.GetProfilePath()
	for i, m := range a.GetAllowPaths() {
		pattern, err := resource.StringMatcher(fmt.Sprintf("admin.allow_paths[%d]", i), m)
		d.add(err)
		d.out.AllowPaths = append(d.out.AllowPaths, pattern)
	}
	if a.GetAddress() == nil {
		return
	}
	address, mode, err := resource.ServerAddress("admin.address", a.GetAddress())
	if err != nil {
		d.errs = append(d.errs, err)
		return
	}
	d.out.Admin, d.out.AdminMode, d.out.HasAdmin = address, mode, true
}

// listeners decodes the static listeners. One without a name is named after its address, as 0.0.0.0_80, or its path.
func (d *decoder) listeners(list []*listenerv3.Listener) {
	index := make(map[string]int)
	for i, l := range list {
		path := fmt.Sprintf("static_resources.listeners[%d]", i)
		if l.GetName() == "" {
			l = proto.Clone(l).(*listenerv3.Listener)
			if l.Name = l.GetAddress().GetPipe().GetPath(); l.Name == "" {
				socket := l.GetAddress().GetSocketAddress()
				l.Name = fmt.Sprintf("%s_%d", socket.GetAddress(), socket.GetPortValue())
			}
		}
		if other, ok := index[l.GetName()]; ok {
			d.errorf(path+".name", "%q is the name of listeners[%d] too", l.GetName(), other)
			continue
		}
		index[l.GetName()] = i
		decoded, err := resource.Listener(l)
		if err != nil {
			d.failed(path, err)
			continue
		}
		d.out.Listeners = append(d.out.Listeners, decoded)
	}
}

// clusters decodes the static clusters. One of the control plane may ask for what the data plane cannot do, but the client of the control
// plane can: traffic cannot go there.
func (d *decoder) clusters(written *bootstrapv3.Bootstrap) {
	index := make(map[string]int)
	controlPlanes := controlPlaneClusters(written)
	for i, c := range written.GetStaticResources().GetClusters() {
		path := fmt.Sprintf("static_resources.clusters[%d]", i)
		if other, ok := index[c.GetName()]; ok {
			d.errorf(path+".name", "%q is the name of clusters[%d] too", c.GetName(), other)
			continue
		}
		index[c.GetName()] = i
		decoded, err := resource.Cluster(c)
		if err != nil && controlPlanes[c.GetName()] && speaksHTTP2(c) {
			d.warnf(path, "cluster %q takes no traffic: %v", c.GetName(), err)
			if decoded, err = resource.Cluster(clientCluster(c)); err == nil {
				decoded.WithoutTraffic = true
			}
		}
		if err != nil {
			d.failed(path, err)
			continue
		}
		d.out.Clusters = append(d.out.Clusters, decoded)
	}
}

// localCluster decodes which cluster this proxy is one of.
func (d *decoder) localCluster(written *bootstrapv3.Bootstrap) {
	d.out.LocalCluster = written.GetClusterManager().GetLocalClusterName()
	if d.out.LocalCluster == "" || len(d.errs) > 0 { // maybe of that cluster
		return
	}
	if !slices.ContainsFunc(d.out.Clusters, func(c *config.Cluster) bool { return c.Name == d.out.LocalCluster }) {
		d.errorf("cluster_manager.local_cluster_name",
			"%q must be one of static_resources.clusters, and not that of a control plane", d.out.LocalCluster)
	}
}

// Check reports whether b can run: where there is a control plane, the node has an id and a cluster, and nothing static
// waits for what no control plane can tell.
func (b *Bootstrap) Check() error {
	var errs []error
	controlPlane := b.ADS != nil
	check := func(what string, asked config.Discovery) {
		controlPlane = controlPlane || asked.Source.API != ""
		if err := b.CheckSource(asked.Source); err != nil {
			errs = append(errs, protofile.Prefixed(what, err))
		}
	}
	for _, l := range b.Listeners {
		for hcm := range l.Managers() {
			if hcm.RouteConfigName != "" {
				check(fmt.Sprintf("listener %q: rds asks for %q", l.Name, hcm.RouteConfigName), hcm.RDS)
			}
			if scoped := hcm.Scopes; scoped != nil && scoped.SRDS != nil {
				check(fmt.Sprintf("listener %q: scoped_rds asks for scopes", l.Name), *scoped.SRDS)
				check(fmt.Sprintf("listener %q: scoped_routes asks for routes", l.Name), scoped.RDS)
			}
		}
	}
	for _, c := range b.Clusters {
		if c.Type == config.ClusterEDS {
			check(fmt.Sprintf("cluster %q: asks for endpoints %q over EDS", c.Name, c.EDSName), c.EDS)
		}
	}
	for _, wanted := range []*config.Discovery{b.LDS, b.CDS} {
		controlPlane = controlPlane || wanted != nil && wanted.Source.API != ""
	}
	return errors.Join(append(b.checkNode(controlPlane), errs...)...)
}

// checkNode finds what a control plane must be told about the node.
func (b *Bootstrap) checkNode(controlPlane bool) (errs []error) {
	if controlPlane && b.Node.GetId() == "" {
		errs = append(errs, errors.New("node.id: must not be empty when there is a control plane (--service-node sets it too)"))
	}
	if controlPlane && b.Node.GetCluster() == "" {
		errs = append(errs, errors.New("node.cluster: must not be empty when there is a control plane (--service-cluster sets it too)"))
	}
	return errs
}

// names joins words for an error.
func names(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
