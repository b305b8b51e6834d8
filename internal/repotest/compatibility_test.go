package repotest

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/penguintechinc/marchproxy-alb/internal/document"
	// The decoders link the messages whose fields are listed.
	_ "github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
)

var update = flag.Bool("update", false, "write the lists of docs/compatibility.md anew")

const compatibilityDoc = "docs/compatibility.md"

// harmless says why it does no harm that a field has no effect, by its name or, where that means several things, the
// message's and its own. Where the decoder's table has a comment, that is the reason instead.
var harmless = map[string]string{
	"metadata":                   "nothing that reads it is supported: filters, access logs",
	"ListenerFilter.name":        "extensions are found by the type of their configuration",
	"Filter.name":                "extensions are found by the type of their configuration",
	"CustomClusterType.name":     "extensions are found by the type of their configuration",
	"reuse_port":                 "every worker has a socket of its own, always",
	"enable_reuse_port":          "every worker has a socket of its own, always",
	"tcp_fast_open_queue_length": "a first packet without data is always possible",
	"decorator":                  "there is no tracing",
	"tracing":                    "there is no tracing",
	"observability_name":         "a label for operators",
	"max_connections_to_accept_per_socket_event": "connections are accepted until there are none, a bounded number per turn",
}

// inPart says what of a field works where that is not all of it, by the message's name and its own.
var inPart = map[string]string{
	"Admin.address":                                          "TCP on an IP address, a Unix domain socket",
	"ApiConfigSource.api_type":                               "`GRPC`, `DELTA_GRPC`, and `REST` but for the aggregated stream",
	"ApiConfigSource.grpc_services":                          "up to 8, tried in turn",
	"ApiConfigSource.transport_api_version":                  "`V3`, `AUTO`",
	"Cluster.cluster_type":                                   "`DnsCluster`, an aggregate",
	"Bootstrap.typed_dns_resolver_config":                    "`CaresDnsResolverConfig` without `resolvers` and `GetAddrInfoDnsResolverConfig`: names are looked up by Go's resolver in any case",
	"LeastRequestLbConfig.active_request_bias":               "`default_value`: the runtime is not asked",
	"LeastRequest.active_request_bias":                       "`default_value`: the runtime is not asked",
	"SlowStartConfig.aggression":                             "`default_value`: the runtime is not asked",
	"ResourceMonitor.typed_config":                           "`DownstreamConnectionsConfig`; others have no effect",
	"Cluster.health_checks":                                  "one",
	"Cluster.lb_policy":                                      "`ROUND_ROBIN`, `LEAST_REQUEST`, `RANDOM`, `RING_HASH`, `MAGLEV`; `CLUSTER_PROVIDED` with an aggregate and with `ORIGINAL_DST`",
	"Cluster.load_balancing_policy":                          "the first supported one of the list",
	"Cluster.transport_socket":                               "`RawBuffer`, `UpstreamTlsContext`",
	"TransportSocketMatch.transport_socket":                  "`RawBuffer`, `UpstreamTlsContext`",
	"Cluster.type":                                           "`STATIC`, `STRICT_DNS`, `LOGICAL_DNS`, `EDS`, `ORIGINAL_DST`",
	"Cluster.typed_extension_protocol_options":               "`HttpProtocolOptions`",
	"DirectResponseAction.body":                              "`inline_string`, `inline_bytes`",
	"ResponseMapper.body":                                    "`inline_string`, `inline_bytes`",
	"DynamicResources.cds_config":                            "`ads`",
	"DynamicResources.lds_config":                            "`ads`",
	"EdsClusterConfig.eds_config":                            "`ads`, `self`",
	"Filter.typed_config":                                    "`HttpConnectionManager`, `TcpProxy`",
	"FilterChain.metadata":                                   "`host_must_be_server_name` of `io.marchproxy.alb`",
	"FilterChain.filter_chain_match":                         "not looked at in the default chain",
	"FilterChain.filters":                                    "one",
	"FilterChain.transport_socket":                           "`RawBuffer`, `DownstreamTlsContext`",
	"HeaderValue.key":                                        "any but `host` and names with a colon",
	"HeaderValue.value":                                      "with the command operators listed above",
	"HttpHealthCheck.codec_client_type":                      "`HTTP1`, `HTTP2`",
	"HttpHealthCheck.request_headers_to_add":                 "without command operators",
	"HttpHealthCheck.response_buffer_size":                   "up to 256 KiB, which is also what 0 stands for",
	"GrpcHealthCheck.initial_metadata":                       "without command operators",
	"HttpConnectionManager.codec_type":                       "`AUTO`, `HTTP1`, `HTTP2`",
	"HttpConnectionManager.http_filters":                     "those listed above, the router last; others when they are optional, which leaves them out",
	"HttpConnectionManager.early_header_mutation_extensions": "`HeaderMutation`",
	"OnMatch.action":                                         "`Route`, `RouteList`",
	"SinglePredicate.input":                                  "`HttpRequestHeaderMatchInput`",
	"MatcherTree.input":                                      "`HttpRequestHeaderMatchInput`",
	"RequestIDExtension.typed_config":                        "`UuidRequestIdConfig`",
	"HttpConnectionManager.original_ip_detection_extensions": "`XffConfig`, `CustomHeaderConfig`",
	"HttpConnectionManager.upgrade_configs":                  "any protocol but `CONNECT-UDP`",
	"HttpFilter.config_discovery":                            "on no filter: it is refused with a message of its own",
	"HttpFilter.disabled":                                    "not on the router",
	"HttpProtocolOptions.explicit_http_config":               "HTTP/1, HTTP/2",
	"RouteAction.metadata_match":                             "`envoy.lb`, and not with `cluster_header`",
	"ClusterWeight.metadata_match":                           "`envoy.lb`",
	"TcpProxy.metadata_match":                                "`envoy.lb`",
	"LbEndpoint.metadata":                                    "`envoy.lb`, of which `hash_key` and `canary` are known by themselves, and `envoy.transport_socket_match`; not `envoy.transport_sockets.proxy_protocol`",
	"Listener.connection_balance_config":                     "`exact_balance`",
	"SocketOption.type":                                      "those of datagrams alone are left out",
	"Listener.address":                                       "TCP on an IP address, a Unix domain socket",
	"Rds.config_source":                                      "`ads`, `self`",
	"DirectResponseAction.body_format":                       "with the command operators listed above; `text_format`, `text_format_source`",
	"Policy.drop_overloads":                                  "one",
	"InternalRedirectPolicy.predicates":                      "`AllowListedRoutesConfig`, `PreviousRoutesConfig`, `SafeCrossSchemeConfig`",
	"RetryPolicy.retry_host_predicate":                       "`PreviousHostsPredicate`, `OmitCanaryHostsPredicate`, `OmitHostMetadataConfig`; up to 16",
	"RetryPolicy.retry_priority":                             "`PreviousPrioritiesConfig`",
	"RetryPolicy.retry_on":                                   "every condition; `http3-post-connect-failure` never happens",
	"ProxyProtocolConfig.pass_through_tlvs":                  "`INCLUDE` without `tlv_type`",
	"RouteAction.upgrade_configs":                            "any protocol but `CONNECT-UDP`",
	"SocketAddress.protocol":                                 "`TCP`",
	"StaticResources.secrets":                                "for TLS contexts that name them without `sds_config`; a `generic_secret` is the credential for a control plane",
	"StatsConfig.stats_tags":                                 "`fixed_value`; others have no effect",
	"HttpProtocolOptions.use_downstream_protocol_config":     "HTTP/1, HTTP/2",
}

// unread says why it does no harm that nothing goes by a field which a decoder keeps.
var unread = map[string]string{}

// sides tells apart the tables of messages that are read in two places.
var sides = map[string]string{
	"downstreamOptionFields": "of a listener",
	"http1Fields":            "of a listener",
	"upstreamOptionFields":   "of a cluster",
	"upstreamHTTP1Fields":    "of a cluster",
	"serverOptionFields":     "of a control plane's cluster",
	"serverFilterFields":     "of a control plane's cluster",
	"serverSecretFields":     "of a control plane's credential",
	"staticSecretFields":     "of a control plane's credential",
	"listenSocketFields":     "of a listener",
	"socketAddressFields":    "of others",
	"listenPipeFields":       "to listen on",
	"pipeFields":             "to connect to",
	"thresholdsFields":       "of a cluster",
	"perHostFields":          "of each host",
	"grpcServiceFields":      "of a control plane",
	"envoyGRPCFields":        "of a control plane",
	"logServiceFields":       "of a log server",
	"logClusterFields":       "of a log server",
	"logFormatFields":        "of an access log",
	"bodyFormatFields":       "of a direct response",
	"replyFormatFields":      "of local replies",
}

// TestCompatibility compares the generated parts of docs/compatibility.md with the decoders.
func TestCompatibility(t *testing.T) {
	resources, bootstrap := loadDecoders(t, "xds/resource"), loadDecoders(t, "xds/bootstrap")
	w := compatibilityWriter{t: t, unusedReasons: maps.Clone(harmless), unusedParts: maps.Clone(inPart), written: make(map[string]string)}
	maps.Copy(w.unusedParts, unread)
	parts := map[string]string{
		"extensions": list(resources.extensions()),
		"operators":  list(resources.keys("operators")),
		"resources":  w.messages(resources.tables("only")),
		"bootstrap":  w.messages(bootstrap.tables("fields")),
	}
	for field := range w.unusedReasons {
		t.Errorf("harmless[%q] is not needed", field)
	}
	for field := range w.unusedParts {
		t.Errorf("%q in inPart or unread is about no field that is decoded", field)
	}
	if t.Failed() {
		return
	}
	document.Check(t, filepath.Join(root, compatibilityDoc), parts, *update, "go test ./internal/repotest -run TestCompatibility -update")
}

func list(names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "- `%s`\n", name)
	}
	return b.String()
}

// compatibilityWriter writes the lists of fields.
type compatibilityWriter struct {
	t *testing.T
	// Entries of harmless and inPart that no field needed so far.
	unusedReasons, unusedParts map[string]string
	written                    map[string]string // by heading
}

// messages writes a table for each message. One that is read in two places in different ways has two.
func (w *compatibilityWriter) messages(tables []fieldTable) string {
	slices.SortStableFunc(tables, func(x, y fieldTable) int { return strings.Compare(x.message, y.message) })
	var b strings.Builder
	for _, table := range tables {
		heading := table.message
		if side := sides[table.name]; side != "" {
			heading += " " + side
		}
		text := w.message(table)
		if before, twice := w.written[heading]; twice {
			if before != text {
				w.t.Errorf("%s is read in two ways: say in sides which table is whose, %s among them", heading, table.name)
			}
			continue
		}
		w.written[heading] = text
		fmt.Fprintf(&b, "### %s\n\n%s\n", heading, text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (w *compatibilityWriter) message(table fieldTable) string {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(table.message))
	if err != nil {
		w.t.Fatalf("%s: %v", table.message, err)
	}
	all := found.(protoreflect.MessageDescriptor).Fields()
	rows := make(map[string][]string)
	for i := range all.Len() {
		field := string(all.Get(i).Name())
		use, listed := table.uses[field]
		why, idle := unread[shortKey(table.message, field)]
		switch {
		case use.use == works && idle:
			delete(w.unusedParts, shortKey(table.message, field))
			rows[noEffect] = append(rows[noEffect], "`"+field+"` ("+why+")")
		case !listed:
			rows["refused"] = append(rows["refused"], "`"+field+"`")
		case use.use == noEffect:
			rows[noEffect] = append(rows[noEffect], "`"+field+"` ("+w.reason(table.message, field, use.reason)+")")
		default:
			rows[use.use] = append(rows[use.use], "`"+field+"`"+w.part(table.message, field))
		}
	}
	for field := range table.uses {
		if all.ByName(protoreflect.Name(field)) == nil {
			w.t.Errorf("the table for %s has %s, which is not a field of it", table.message, field)
		}
	}
	var b strings.Builder
	b.WriteString("| | |\n|---|---|\n")
	for _, row := range []struct{ use, title string }{
		{works, "works"}, {noEffect, "no effect"}, {onlyTrue, "only `true`"}, {onlyFalse, "only `false`"}, {"refused", "refused"},
	} {
		if fields := rows[row.use]; len(fields) > 0 {
			fmt.Fprintf(&b, "| %s | %s |\n", row.title, strings.Join(fields, ", "))
		}
	}
	return b.String()
}

// part returns what of a field works, in parentheses, nothing when all of it does.
func (w *compatibilityWriter) part(message, field string) string {
	key := shortKey(message, field)
	text, ok := inPart[key]
	if !ok {
		return ""
	}
	delete(w.unusedParts, key)
	return " (" + text + ")"
}

// shortKey is the message's name without its package, and the field's.
func shortKey(message, field string) string {
	return message[strings.LastIndexByte(message, '.')+1:] + "." + field
}

// reason returns why it is harmless that a field has no effect.
func (w *compatibilityWriter) reason(message, field, fromTable string) string {
	if fromTable != "" {
		return strings.TrimPrefix(fromTable, "has no effect: ")
	}
	key := shortKey(message, field)
	if _, ok := harmless[key]; !ok {
		key = field
	}
	why, ok := harmless[key]
	if !ok {
		w.t.Errorf("%s.%s is accepted without effect, and nothing says why that is harmless: write a comment beside it in "+
			"the decoder's table", message, field)
	}
	delete(w.unusedReasons, key)
	return why
}
