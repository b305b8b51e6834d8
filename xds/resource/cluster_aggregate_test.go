package resource_test

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const clusterProvided = "cluster_provided.v3.ClusterProvided"

// aggregate returns a cluster_type of an aggregate of these clusters.
func aggregate(clusters string) string {
	return "cluster_type: {name: a, typed_config: {'@type': type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: " + clusters + "}}\n"
}

func TestAggregate(t *testing.T) {
	for _, lb := range []string{"lb_policy: CLUSTER_PROVIDED", lbPolicy(clusterProvided, "")} {
		want := defaultCluster()
		want.Type, want.Members = config.ClusterAggregate, []string{"a", "b"}
		got, err := resource.Cluster(parse(t, "name: c\n"+aggregate("[a, b]")+lb, &clusterv3.Cluster{}))
		checkEqual(t, got, want, err)
	}
}

func TestAggregateRefused(t *testing.T) {
	const provided = "lb_policy: CLUSTER_PROVIDED\n"
	tests := map[string]string{
		aggregate("[a]"):                  "lb_policy: cluster: LB policy ROUND_ROBIN is not valid for cluster type envoy.clusters.aggregate. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'envoy.clusters.aggregate'",
		aggregate("[]") + provided:        "cluster_type.typed_config.clusters: value must contain at least 1 item(s)",
		aggregate("[c]") + provided:       "cluster_type.typed_config.clusters[0]: is the aggregate itself",
		aggregate("[a, b, a]") + provided: `cluster_type.typed_config.clusters[2]: "a" is listed twice`,
		aggregate("['']") + provided:      "cluster_type.typed_config.clusters[0]: must not be empty",
		aggregate("[a]") + provided + endpointsOf + "192.0.2.1, port_value: 80}}}": "load_assignment: cannot be set on an aggregate, which has the endpoints of other clusters",
		provided:                      "lb_policy: cluster: LB policy CLUSTER_PROVIDED is for cluster types that choose the hosts themselves, such as aggregate",
		lbPolicy(clusterProvided, ""): "lb_policy: cluster: LB policy CLUSTER_PROVIDED is for cluster types that choose the hosts themselves, such as aggregate",
	}
	for text, want := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := resource.Cluster(parse(t, "name: c\n"+text, &clusterv3.Cluster{}))
			checkError(t, err, `cluster "c": `+want)
		})
	}
}
