package config

// SubsetFallback is what is taken in place of a subset that has no hosts.
type SubsetFallback uint8

// The fallbacks.
const (
	SubsetUndefined SubsetFallback = iota // of a selector: that of the cluster
	SubsetNone                            // no host
	SubsetAny                             // all hosts
	SubsetDefault                         // the default subset
	SubsetKeys                            // of a selector: the subset by fewer keys
)

// Subsets is Cluster.LbSubsetConfig, and the policy Subset: how a cluster's hosts are divided by their metadata (of the name
// envoy.lb), so that routes choose among them by metadata_match.
type Subsets struct {
	Fallback  SubsetFallback // SubsetNone, SubsetAny or SubsetDefault
	Default   Labels         // of the hosts of the default subset
	Selectors []SubsetSelector
	// AllowRedundantKeys has those keys of a route left aside that make it more than the selector with the most keys.
	AllowRedundantKeys bool
	// LocalityWeightAware has the weights of localities hold within a subset, and ScaleLocalityWeight makes them as much less as
	// the subset has fewer hosts there.
	LocalityWeightAware, ScaleLocalityWeight bool
	// PanicModeAny takes all hosts where those of Fallback have none to give.
	PanicModeAny bool
	// ListAsAny has a host with a list for a value match any of the list.
	ListAsAny bool
	// MetadataFallbacks has the alternatives of a route be tried in turn (metadata_fallback_policy FALLBACK_LIST).
	MetadataFallbacks bool
}

// SubsetSelector is a set of keys: hosts that have values for all of them are divided by these.
type SubsetSelector struct {
	Keys       []string // in order, at least one
	SingleHost bool     // one host of a subset is used, the first
	Fallback   SubsetFallback
	// FallbackKeys are those with SubsetKeys, fewer than Keys.
	FallbackKeys []string
}

// SubsetLabels are the metadata by which a host is in subsets.
type SubsetLabels struct {
	Labels
	Lists map[string][]string // the elements of those values that are lists
}

// HasAny reports whether the host has a value for name that is wanted, or, if listAsAny, a list with it.
func (l *SubsetLabels) HasAny(name, want string, listAsAny bool) bool {
	if list, ok := l.Lists[name]; ok && listAsAny {
		for _, value := range list {
			if value == want {
				return true
			}
		}
	}
	value, ok := l.Values[name]
	return ok && value == want
}

// MetadataMatch is metadata_match of a route: the metadata of the hosts that it wants.
type MetadataMatch struct {
	Labels
	// Alternatives are what takes the place of Labels of the same names, for clusters with MetadataFallbacks (fallback_list).
	Alternatives []Labels
}

// FallbackList is the name of the label that Alternatives come from.
const FallbackList = "fallback_list"
