package route

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Target is one cluster that a route forwards to.
type Target struct {
	Name string
	// Index is the position of the cluster in the snapshot's sorted names, -1 for an unknown one.
	Index  int
	Config *config.WeightedCluster
	// Subset tells of the hosts that are wanted, by their metadata: 0 for any, otherwise one more than an index in Table.Subsets.
	Subset int

	field requestField // that names the cluster (cluster_header), with named
	named bool

	end               uint64 // sum of the weights up to and with this one
	request, response *mutations
	filters           []FilterConfig // of all levels, nil where the route's are the same
}

// targets compiles the split of a forwarding route, or the one laid over it.
func (c *compiler) targets(r *Route) error {
	split := r.Config.Forward.Clusters
	overlay, overlaid := c.options.Weights[r.Name]
	if overlaid {
		split = overlaySplit(split, overlay)
	}
	split = c.runtimeWeights(r.Config.Forward.RuntimeKeyPrefix, split)
	r.targets = make([]Target, len(split))
	for i := range split {
		target := &r.targets[i]
		target.Name, target.Config, target.Index = split[i].Name, &split[i], -1
		if split[i].Header != "" {
			target.field, target.named, r.clusterIndex = newRequestField(split[i].Header), true, c.options.ClusterIndex
		} else if index, ok := c.options.ClusterIndex(target.Name); ok {
			target.Index = index
		}
		target.Subset = c.subset(target, r.Config.Forward.Match)
		var err error
		if target.request, target.response, err = compileMutations(&split[i].HeaderMutations); err != nil {
			return fmt.Errorf("cluster %q: %w", target.Name, err)
		}
		if !validTarget(split[i].HostRewrite) {
			return fmt.Errorf("cluster %q: host_rewrite_literal %q: spaces and control characters are not allowed",
				target.Name, split[i].HostRewrite)
		}
		r.total += uint64(split[i].Weight)
		target.end = r.total
	}
	if m := r.Config.Forward.ClusterMatcher; m != nil && !overlaid {
		return c.clusterMatcher(r, m)
	}
	if header := r.Config.Forward.ClusterHeader; header != "" && len(split) == 0 {
		r.clusterField, r.clusterIndex = newRequestField(header), c.options.ClusterIndex
		return nil
	}
	if r.total == 0 {
		return errors.New("the weights of its clusters add up to 0, want at least 1")
	}
	return nil
}

// clusterMatcher compiles what leads to the targets of a route.
func (c *compiler) clusterMatcher(r *Route, m *config.RouteMatcher) (err error) {
	list := make([]*Target, len(r.targets))
	for i := range list {
		list[i] = &r.targets[i]
	}
	if r.clusterMatcher, err = compileMatcher(m, list); err != nil {
		return fmt.Errorf("cluster_matcher: %w", err)
	}
	return nil
}

// Subset is hosts of a cluster that a route wants by their metadata.
type Subset struct {
	Cluster int // by the index of Target
	Match   *config.MetadataMatch
}

// Subsets returns those of all routes, by Target.Subset - 1. The slice must not be changed.
func (t *Table) Subsets() []Subset { return t.subsets }

// subset returns what Target.Subset of a target is. match is what the route itself wants.
func (c *compiler) subset(t *Target, match *config.MetadataMatch) int {
	if t.Config.Match != nil {
		match = t.Config.Match
	}
	if match == nil || t.Index < 0 {
		return 0
	}
	c.table.subsets = append(c.table.subsets, Subset{t.Index, match})
	return len(c.table.subsets)
}

// runtimeWeights returns split with the weights that the runtime has for it. Weights of the runtime that add up to nothing, or to
// more than weights may, change nothing.
func (c *compiler) runtimeWeights(prefix string, split []config.WeightedCluster) []config.WeightedCluster {
	if prefix == "" {
		return split
	}
	c.table.usesRuntime = true
	result, total := slices.Clone(split), uint64(0)
	for i := range result {
		weight := c.options.Runtime.Integer(prefix+"."+result[i].Name, uint64(result[i].Weight))
		if weight > math.MaxUint32 {
			return split
		}
		result[i].Weight = uint32(weight)
		total += weight
	}
	if total == 0 || total > math.MaxUint32 {
		return split
	}
	return result
}

// overlaySplit returns overlay, in which the clusters that split has too are as there but for their weight.
func overlaySplit(split, overlay []config.WeightedCluster) []config.WeightedCluster {
	result := make([]config.WeightedCluster, len(overlay))
	for i := range overlay {
		result[i] = overlay[i]
		for j := range split {
			if split[j].Name == overlay[i].Name {
				result[i] = split[j]
				result[i].Weight = overlay[i].Weight
				break
			}
		}
	}
	return result
}

// named is what a route with cluster_header sends to, but for the cluster. It is never written.
var named = Target{Index: -1, Config: &config.WeightedCluster{Weight: 1}}

// Target returns where a request goes, nil for nowhere. split decides among several clusters, as in PickCluster. Where the request names its cluster,
// that is put into target, and it and what it has are valid as long as the request is.
func (r *Route) Target(req *message.Request, split uint64, target *Target) *Target {
	if r.clusterMatcher != nil {
		return r.matchedTarget(req)
	}
	if r.clusterIndex == nil {
		return r.PickCluster(split)
	}
	field := &r.clusterField
	if len(r.targets) == 0 {
		*target = named
	} else {
		picked := r.PickCluster(split)
		if picked == nil || !picked.named {
			return picked
		}
		*target = *picked
		field = &picked.field
	}
	name, _ := field.values(req)
	target.Name = unsafe.String(unsafe.SliceData(name), len(name))
	if i, ok := r.clusterIndex(target.Name); ok {
		target.Index = i
	}
	return target
}

// matchedTarget returns the target that the request leads to, nil for none.
func (r *Route) matchedTarget(req *message.Request) *Target {
	_, query := splitTarget(req.Path)
	leads, _ := r.clusterMatcher.find(&head{request: req, query: query})
	if len(leads) == 0 {
		return nil
	}
	return leads[0]
}

// PickCluster returns the cluster that random falls on, each in proportion to its weight; those of weight 0 get nothing.
// It returns nil for a route that does not forward.
func (r *Route) PickCluster(random uint64) *Target {
	switch len(r.targets) {
	case 0:
		return nil
	case 1:
		return &r.targets[0]
	}
	value := random % r.total
	for i := range r.targets {
		if value < r.targets[i].end {
			return &r.targets[i]
		}
	}
	return nil
}

// SplitNumber returns what a request itself gives to PickCluster (header_name). As in Envoy it has to give one number, once.
func (r *Route) SplitNumber(req *message.Request) (n uint64, ok bool) {
	if r.splitField.name == nil {
		return 0, false
	}
	value, count := r.splitField.values(req)
	if count != 1 || len(value) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(unsafe.String(unsafe.SliceData(value), len(value)), 10, 64)
	return n, err == nil
}
