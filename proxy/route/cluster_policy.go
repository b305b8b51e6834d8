package route

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// ClusterPolicies are what a cluster has in place of what the routes that lead to it say (HttpProtocolOptions of the cluster). They
// are immutable, and shared by all workers.
type ClusterPolicies struct {
	// Hash makes the hash of a request; nil leaves that to the route.
	Hash HashPolicies
	// Retry is nil where the route's holds.
	Retry *Retry
	// Mirrors are nil where those of the route hold. They may be none, of those that a cluster has, as no request falls into them.
	Mirrors []Mirror

	runtime      *config.Runtime
	usesRuntime  bool
	retryRuntime retryRuntime
}

// CompileClusterPolicies compiles the policies of a cluster that has some; hash are those of hashing. Errors name the field at fault.
func CompileClusterPolicies(k *config.Cluster, hash HashPolicies, o Options) (*ClusterPolicies, error) {
	t := &Table{runtime: o.Runtime, retryRuntime: newRetryRuntime(o.Runtime)}
	c := compiler{options: o, table: t}
	p := &ClusterPolicies{Hash: hash, runtime: o.Runtime, retryRuntime: t.retryRuntime}
	var err error
	if k.Retry != nil {
		if p.Retry, err = c.retry(k.Retry); err != nil {
			return nil, fmt.Errorf("retry_policy: %w", err)
		}
	}
	if len(k.Mirrors) > 0 {
		if p.Mirrors, err = c.mirrors(k.Mirrors); err != nil {
			return nil, err
		}
		if p.Mirrors == nil {
			p.Mirrors = []Mirror{}
		}
	}
	p.usesRuntime = t.usesRuntime
	return p, nil
}

// IsOf reports whether the policies are what they would be with the runtime r.
func (p *ClusterPolicies) IsOf(r *config.Runtime) bool {
	return r == p.runtime || !p.usesRuntime && (p.Retry == nil || newRetryRuntime(r) == p.retryRuntime)
}
