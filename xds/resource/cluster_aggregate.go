//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	aggregateMessage       = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
	clusterProvidedMessage = lbPackage + "cluster_provided.v3.ClusterProvided"
)

// maxMembers bounds the clusters that an aggregate chooses among for each request.
const maxMembers = 64

var aggregateFields = fields{"clusters": decoded}

// aggregate decodes the names of the clusters that an aggregate is made of. They need not exist.
func (a *at) aggregate(c *aggregatev3.ClusterConfig, out *config.Cluster) {
	a.only(c, aggregateFields)
	if n := len(c.GetClusters()); n > maxMembers {
		a.in("clusters").errorf("has %d entries, at most %d are allowed", n, maxMembers)
	}
	seen := make(map[string]bool)
	for i, name := range c.GetClusters() {
		place := a.item("clusters", i)
		switch {
		case name == "":
			place.errorf("must not be empty")
		case name == out.Name:
			place.errorf("is the aggregate itself")
		case seen[name]:
			place.errorf("%q is listed twice", name)
		}
		seen[name] = true
		out.Members = append(out.Members, name)
	}
}

// providedBalancing reports whether a cluster leaves the choice of hosts to its type, which has to be one that makes it, and then
// must.
func (a *at) providedBalancing(c *clusterv3.Cluster, out *config.Cluster) (provided bool) {
	provided = c.GetLbPolicy() == clusterv3.Cluster_CLUSTER_PROVIDED
	if policies := c.GetLoadBalancingPolicy().GetPolicies(); len(policies) > 0 {
		provided = messageName(policies[0].GetTypedExtensionConfig().GetTypedConfig()) == clusterProvidedMessage
	}
	aggregated, original := out.Type == config.ClusterAggregate, out.Type == config.ClusterOriginalDst
	switch {
	case original && !provided:
		a.in("lb_policy").errorf("cluster: LB policy %s is not valid for Cluster type ORIGINAL_DST. "+
			"Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'", c.GetLbPolicy())
	case aggregated && !provided:
		a.in("lb_policy").errorf("cluster: LB policy %s is not valid for cluster type envoy.clusters.aggregate. "+
			"Only 'CLUSTER_PROVIDED' is allowed with cluster type 'envoy.clusters.aggregate'", c.GetLbPolicy())
	case !aggregated && !original && provided:
		a.in("lb_policy").errorf("cluster: LB policy CLUSTER_PROVIDED is for cluster types that choose the hosts themselves, such as aggregate")
	}
	return provided || aggregated || original
}
