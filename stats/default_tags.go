package stats

import (
	"regexp"
	"strings"
)

// The parts that occur in the expressions below. Only an address, the name of a cipher and the name of a route
// configuration may contain dots; any other tag ends at the first, so that a cluster "a.b" has the tag "a", as in Envoy.
const (
	tagValue        = `[^\.]+`
	tagAddress      = `(?:\d+\.\d+\.\d+\.\d+|\[[_a-fA-F\d]+\])_\d+`
	tagCipher       = `[\w-]+`
	tagTLSVersion   = `TLSv\d(?:\.\d)?|[\w.-]+`
	tagRouteConfig  = `[\w.-]+`
	listenerCluster = `(?:listener\.(?:` + tagAddress + `|` + tagValue + `)|cluster\.` + tagValue + `)`
)

// defaultTags returns Envoy's own tags, in the order in which they are tried.
func defaultTags() []TagRule {
	regex := func(name, head, part, pattern string) TagRule {
		return TagRule{name: name, pattern: &regexPattern{re: regexp.MustCompile(pattern), head: head, part: part}}
	}
	tokens := func(name, pattern string) TagRule {
		return TagRule{name: name, pattern: tokenPattern(strings.Split(pattern, "."))}
	}
	listenerAddress := regex("envoy.listener_address", "listener", "", `^listener\.((`+tagAddress+`|`+tagValue+`)\.)`)
	listenerAddress.pattern.(*regexPattern).except = "admin"
	return []TagRule{
		regex("envoy.response_code", "", "_rq_", `_rq(_(\d{3}))$`),
		regex("envoy.response_code_class", "", "_rq_", `_rq_((\d))xx$`),
		tokens("envoy.mongo_callsite", "mongo.*.collection.*.callsite.$.query.**"),
		tokens("envoy.mongo_collection", "mongo.*.collection.$.**"),
		tokens("envoy.mongo_cmd", "mongo.*.cmd.$.**"),
		regex("envoy.dynamo_partition_id", "http", ".dynamodb.",
			`^http\.`+tagValue+`\.dynamodb\.table\.`+tagValue+`\.capacity\.`+tagValue+`(\.__partition_id=(\w{7}))$`),
		regex("envoy.dynamo_operation", "http", ".dynamodb.",
			`^http\.`+tagValue+`\.dynamodb\.(?:operation|table\.`+tagValue+`\.capacity)(\.(`+tagValue+`))(?:\.|$)`),
		regex("envoy.dynamo_table", "http", ".dynamodb.",
			`^http\.`+tagValue+`\.dynamodb\.(?:table|error)\.((`+tagValue+`)\.)`),
		tokens("envoy.grpc_bridge_method", "cluster.*.grpc.*.$.**"),
		tokens("envoy.http_user_agent", "http.*.user_agent.$.**"),
		tokens("envoy.virtual_cluster", "vhost.*.vcluster.$.**"),
		tokens("envoy.fault_downstream_cluster", "http.*.fault.$.**"),
		regex("envoy.ssl_cipher", "listener", ".ssl.ciphers.", `^listener\..*?\.ssl\.ciphers(\.(`+tagCipher+`))$`),
		regex("envoy.ssl_curve", "", ".ssl.curves.", `^`+listenerCluster+`\.ssl\.curves(\.(`+tagCipher+`))$`),
		regex("envoy.ssl_sigalg", "", ".ssl.sigalgs.", `^`+listenerCluster+`\.ssl\.sigalgs(\.(`+tagCipher+`))$`),
		regex("envoy.ssl_version", "", ".ssl.versions.", `^`+listenerCluster+`\.ssl\.versions(\.(`+tagTLSVersion+`))$`),
		regex("envoy.tls_certificate", "", ".ssl.certificate.",
			`^`+listenerCluster+`\.ssl\.certificate(\.(.+))\.expiration_unix_time_seconds$`),
		regex("cipher_suite", "cluster", ".ssl.ciphers.", `^cluster\.`+tagValue+`\.ssl\.ciphers(\.(`+tagCipher+`))$`),
		tokens("envoy.grpc_bridge_service", "cluster.*.grpc.$.**"),
		tokens("envoy.tcp_prefix", "tcp.$.**"),
		tokens("envoy.udp_prefix", "udp.$.**"),
		tokens("envoy.clientssl_prefix", "auth.clientssl.$.**"),
		tokens("envoy.ratelimit_prefix", "ratelimit.$.**"),
		tokens("envoy.cluster_name", "cluster.$.**"),
		regex("envoy.http_conn_manager_prefix", "listener", ".http.", `^listener\..*?\.http\.((`+tagValue+`)\.)`),
		tokens("envoy.ext_authz_prefix", "cluster.*.ext_authz.$.**"),
		tokens("envoy.ext_authz_prefix", "http.*.ext_authz.$.**"),
		tokens("envoy.http_conn_manager_prefix", "http.$.**"),
		regex("envoy.worker_id", "", "worker_",
			`^(?:listener\.(?:`+tagAddress+`|`+tagValue+`)\.|server\.|listener_manager\.)worker_((\d+)\.)`),
		listenerAddress,
		tokens("envoy.virtual_host", "vhost.$.**"),
		tokens("envoy.mongo_prefix", "mongo.$.**"),
		regex("envoy.rds_route_config", "http", ".rds.", `^http\.`+tagValue+`\.rds\.((`+tagRouteConfig+`)\.)\w+?$`),
		tokens("envoy.route", "vhost.*.route.$.**"),
		tokens("envoy.thrift_prefix", "thrift.$.**"),
		tokens("envoy.redis_prefix", "redis.$.**"),
		tokens("envoy.local_http_ratelimit_prefix", "$.http_local_rate_limit.**"),
		tokens("envoy.local_network_ratelimit_prefix", "local_rate_limit.$.**"),
		tokens("envoy.local_listener_ratelimit_prefix", "listener_local_ratelimit.$.**"),
		tokens("envoy.dns_filter_prefix", "dns_filter.$.**"),
	}
}
