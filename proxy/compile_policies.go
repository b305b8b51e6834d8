package proxy

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// compilePolicies compiles what clusters have in place of what routes say, or takes it over. It may only be called when it is known
// which clusters there are.
func (c *compiled) compilePolicies(prev *compiled) error {
	options := route.Options{ClusterIndex: c.trafficIndex, Runtime: c.snapshot.Runtime}
	for i, k := range c.clusters {
		if k.hashPolicies == nil && k.config.Retry == nil && len(k.config.Mirrors) == 0 {
			continue
		}
		p := c.keptPolicies(prev, i)
		if p == nil {
			var err error
			if p, err = route.CompileClusterPolicies(k.config, k.hashPolicies, options); err != nil {
				return fmt.Errorf("cluster %q: %w", k.config.Name, err)
			}
		}
		if c.policies == nil {
			c.policies = make([]*route.ClusterPolicies, len(c.clusters))
		}
		c.policies[i] = p
	}
	return nil
}

// keptPolicies returns the policies that the cluster at index i had before if they still hold, nil otherwise: mirrors know other
// clusters by their indexes.
func (c *compiled) keptPolicies(prev *compiled, i int) *route.ClusterPolicies {
	if prev.policies == nil || !c.sameClusters(prev) || prev.clusters[i].config != c.clusters[i].config {
		return nil
	}
	if p := prev.policies[i]; p != nil && p.IsOf(c.snapshot.Runtime) {
		return p
	}
	return nil
}
