package config

// MirrorPolicy is envoy.config.route.v3.RouteAction.RequestMirrorPolicy: requests are sent to one more cluster, whose answers
// nobody sees. Exactly one of Cluster and ClusterHeader is set.
type MirrorPolicy struct {
	Cluster       string
	ClusterHeader string          // the field of a request that names the cluster, lower-case
	Fraction      RuntimeFraction // the share of requests that are mirrored
	// KeepHost leaves out the "-shadow" that the host gets otherwise (disable_shadow_host_suffix_append).
	KeepHost    bool
	HostRewrite string // host_rewrite_literal, with which there is no "-shadow" either
	// Mutations are made one after the other (request_headers_mutations); those of responses are not used.
	Mutations []HeaderMutations
}
