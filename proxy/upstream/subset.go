package upstream

import (
	"maps"
	"math"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/balancer"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// Match is what routes want of the hosts of one cluster, with what that comes to on each worker: it is found out when hosts or routes
// change, so that a request looks up nothing.
type Match struct {
	criteria *config.MetadataMatch
	found    []*choices // by the worker, which alone touches it; nil for not yet, or not any more
}

// NewMatch returns what criteria come to on a number of workers.
func NewMatch(criteria *config.MetadataMatch, workers int) *Match {
	return &Match{criteria: criteria, found: make([]*choices, workers)}
}

// Criteria returns what is wanted.
func (m *Match) Criteria() *config.MetadataMatch { return m.criteria }

// subsets is how the hosts of a cluster are divided.
type subsets struct {
	policy  balancer.Policy
	weights []balancer.LocalityWeight
	matches []*Match             // of the routes to the cluster
	plain   *choices             // of requests that want nothing in particular
	all     *group               // all hosts; nil until it is needed
	late    map[*Match]*choices  // of matches that have none here
	sizes   map[localityHost]int // of localities, where weights are scaled by them
	byLabel map[label][]*balancer.Host
}

// label is a name with a value that hosts have, or have in a list where that is enough.
type label struct{ name, value string }

// localityHost names a locality of a priority.
type localityHost struct {
	priority uint32
	locality balancer.Locality
}

// maxLate bounds the matches that are remembered of routes that no longer lead to a cluster, or do by way of an aggregate.
const maxLate = 64

// choices are tried in turn until there is a host. They are of one cluster on one worker.
type choices struct {
	of   *Cluster
	list []choice
}

// choice is the hosts of a subset, or what is taken for them.
type choice struct {
	hosts   *group // nil for no host
	inPanic *group // where hosts has none to give; nil for none
	kind    choiceKind
}

// group is some hosts with their picker.
type group struct {
	balancer.Picker
	set     *balancer.Set
	weights []balancer.LocalityWeight
}

// choiceKind says what is counted of a choice.
type choiceKind uint8

const (
	selected         choiceKind = iota // the subset
	fallback                           // what the cluster has for subsets without hosts
	selectorFallback                   // what the selector has, which Envoy does not count
)

// Match makes matches those that are kept ready. The slice is kept.
func (k *Cluster) Match(matches []*Match) {
	if k.subsets == nil || slices.Equal(k.subsets.matches, matches) {
		return
	}
	for _, m := range k.subsets.matches {
		m.found[k.worker] = nil // who has begun with it finds out anew
	}
	k.subsets.matches = matches
	for _, m := range matches {
		m.found[k.worker] = k.find(m.criteria)
	}
}

// PickOf chooses a host that a route wants, nil when there is none. A nil match wants nothing in particular, and in a cluster whose
// hosts are not divided any will do.
func (k *Cluster) PickOf(m *Match) *Host {
	if k.subsets == nil {
		return k.Pick()
	}
	return k.pickOf(m, nil)
}

// pickOf chooses among hosts that are divided. avoid is nil, or the priorities that the attempt stays away from.
func (k *Cluster) pickOf(m *Match, avoid *balancer.Priorities) *Host {
	found := k.subsets.plain
	if m != nil {
		if found = m.found[k.worker]; found == nil || found.of != k {
			found = k.findLate(m)
		}
	}
	for i := range found.list {
		if h := k.pickChoice(&found.list[i], avoid); h != nil {
			return h
		}
	}
	return nil
}

func (k *Cluster) pickChoice(c *choice, avoid *balancer.Priorities) *Host {
	if c.hosts == nil {
		return nil
	}
	if c.kind == selected {
		k.stats.Inc(stats.ClusterLBSubsetsSelected)
	}
	if h := k.picked(k.pickerOf(c.hosts, avoid).Pick()); h != nil {
		if c.kind == fallback {
			k.stats.Inc(stats.ClusterLBSubsetsFallback)
		}
		return h
	}
	if c.inPanic == nil {
		return nil
	}
	h := k.picked(k.pickerOf(c.inPanic, avoid).Pick())
	if h != nil {
		k.stats.Inc(stats.ClusterLBSubsetsFallbackPanic)
	}
	return h
}

// divide finds out anew what all matches come to, or that hosts are not divided.
func (k *Cluster) divide(policy balancer.Policy, weights []balancer.LocalityWeight) {
	cfg := k.config.Subsets
	if cfg == nil {
		k.subsets = nil
		return
	}
	s := &subsets{policy: policy, weights: weights}
	if k.subsets != nil {
		s.matches = k.subsets.matches
	}
	k.subsets = s
	s.policy.LocalityWeighted = policy.LocalityWeighted && cfg.LocalityWeightAware
	if s.policy.LocalityWeighted && cfg.ScaleLocalityWeight {
		s.sizes = localitySizes(k.set.Hosts())
	}
	s.index(k.set.Hosts(), cfg.ListAsAny)
	s.plain = k.find(nil)
	for _, m := range s.matches {
		m.found[k.worker] = k.find(m.criteria)
	}
}

// findLate is find for a match that is not kept ready.
func (k *Cluster) findLate(m *Match) *choices {
	s := k.subsets
	if found := s.late[m]; found != nil {
		return found
	}
	if s.late == nil || len(s.late) >= maxLate {
		s.late = make(map[*Match]*choices)
	}
	found := k.find(m.criteria)
	s.late[m] = found
	return found
}

// find returns the hosts that are wanted, and what is taken for them. Nil criteria want nothing in particular.
func (k *Cluster) find(criteria *config.MetadataMatch) *choices {
	found := &choices{of: k}
	switch {
	case criteria == nil:
		found.list = []choice{k.clusterFallback()}
	case !k.config.Subsets.MetadataFallbacks:
		found.list = []choice{k.choose(criteria.Values)}
	default:
		wanted := maps.Clone(criteria.Values)
		delete(wanted, config.FallbackList)
		for _, alternative := range criteria.Alternatives {
			other := maps.Clone(wanted)
			maps.Copy(other, alternative.Values)
			found.list = append(found.list, k.choose(other))
		}
		if len(found.list) == 0 {
			found.list = []choice{k.choose(wanted)}
		}
	}
	return found
}

// choose returns the subset of hosts with labels. Each step down has fewer of these.
func (k *Cluster) choose(labels map[string]string) choice {
	cfg := k.config.Subsets
	if cfg.AllowRedundantKeys {
		labels = withoutRedundant(cfg, labels)
	}
	selector := selectorOf(cfg, labels)
	if selector == nil {
		return k.clusterFallback()
	}
	hosts := k.having(labels)
	if selector.SingleHost && len(hosts) > 1 {
		hosts = hosts[:1]
	}
	if len(hosts) > 0 {
		return choice{hosts: k.subset(hosts), kind: selected}
	}
	switch selector.Fallback {
	case config.SubsetNone:
		return choice{kind: selectorFallback}
	case config.SubsetAny:
		return choice{hosts: k.subsets.any(k), kind: selectorFallback}
	case config.SubsetDefault:
		return choice{hosts: k.subset(k.having(cfg.Default.Values)), kind: selectorFallback}
	case config.SubsetKeys:
		return k.choose(restricted(labels, selector.FallbackKeys))
	default:
		return k.clusterFallback()
	}
}

// clusterFallback returns what the cluster has for subsets without hosts.
func (k *Cluster) clusterFallback() choice {
	cfg := k.config.Subsets
	c := choice{kind: fallback}
	switch cfg.Fallback {
	case config.SubsetAny:
		c.hosts = k.subsets.any(k)
	case config.SubsetDefault:
		c.hosts = k.subset(k.having(cfg.Default.Values))
	default:
		return c
	}
	if cfg.PanicModeAny {
		c.inPanic = k.subsets.any(k)
	}
	return c
}

// any returns all hosts.
func (s *subsets) any(k *Cluster) *group {
	if s.all == nil {
		s.all = k.subset(k.set.Hosts())
	}
	return s.all
}

// subset returns some of the hosts with a picker.
func (k *Cluster) subset(hosts []*balancer.Host) *group {
	s := k.subsets
	weights := s.weights
	if s.sizes != nil {
		weights = scaled(weights, localitySizes(hosts), s.sizes)
	}
	set := balancer.NewSet(hosts, weights, s.policy)
	k.count(set.Note())
	return &group{Picker: balancer.New(set, s.policy, k.random), set: set, weights: weights}
}

// index has hosts be found by each of their labels.
func (s *subsets) index(hosts []*balancer.Host, listAsAny bool) {
	s.byLabel = make(map[label][]*balancer.Host)
	add := func(l label, b *balancer.Host) {
		if list := s.byLabel[l]; len(list) == 0 || list[len(list)-1] != b {
			s.byLabel[l] = append(list, b)
		}
	}
	for _, b := range hosts {
		of := b.Data.(*Host).subsetLabels
		if of == nil {
			continue
		}
		for name, value := range of.Values {
			add(label{name, value}, b)
			if listAsAny {
				for _, element := range of.Lists[name] {
					add(label{name, element}, b)
				}
			}
		}
	}
}

// having returns the hosts with all of labels, in their order: those of the rarest label that have the others too.
func (k *Cluster) having(labels map[string]string) []*balancer.Host {
	rarest, listAsAny := k.set.Hosts(), k.config.Subsets.ListAsAny
	for name, value := range labels {
		if hosts := k.subsets.byLabel[label{name, value}]; len(hosts) <= len(rarest) {
			rarest = hosts
		}
	}
	var some []*balancer.Host
	for _, b := range rarest {
		of := b.Data.(*Host).subsetLabels
		all := true
		for name, value := range labels {
			all = all && of != nil && of.HasAny(name, value, listAsAny)
		}
		if all {
			some = append(some, b)
		}
	}
	return some
}

// withoutRedundant returns those of labels that the first selector goes by whose keys are all among them, all of them when there is
// none.
func withoutRedundant(cfg *config.Subsets, labels map[string]string) map[string]string {
	for i := range cfg.Selectors {
		if some := restricted(labels, cfg.Selectors[i].Keys); len(some) == len(cfg.Selectors[i].Keys) {
			return some
		}
	}
	return labels
}

// selectorOf returns the selector whose keys are those of labels, nil when there is none.
func selectorOf(cfg *config.Subsets, labels map[string]string) *config.SubsetSelector {
	for i := range cfg.Selectors {
		if keys := cfg.Selectors[i].Keys; len(keys) == len(labels) && len(restricted(labels, keys)) == len(keys) {
			return &cfg.Selectors[i]
		}
	}
	return nil
}

// restricted returns those of labels that have one of the keys.
func restricted(labels map[string]string, keys []string) map[string]string {
	some := make(map[string]string, len(keys))
	for _, key := range keys {
		if value, ok := labels[key]; ok {
			some[key] = value
		}
	}
	return some
}

func localitySizes(hosts []*balancer.Host) map[localityHost]int {
	sizes := make(map[localityHost]int)
	for _, h := range hosts {
		sizes[localityHost{h.Priority, h.Locality}]++
	}
	return sizes
}

// scaled returns weights made as much less as some of the hosts of each locality are fewer than all.
func scaled(weights []balancer.LocalityWeight, some, all map[localityHost]int) []balancer.LocalityWeight {
	result := slices.Clone(weights)
	for i := range result {
		w := &result[i]
		at := localityHost{w.Priority, w.Locality}
		if all[at] > 0 {
			w.Weight = uint32(math.Round(float64(w.Weight) * float64(some[at]) / float64(all[at])))
		}
	}
	return result
}
