package config

import "time"

// MaxHashPolicies bounds the hash policies of one list, each of which looks at every request.
const MaxHashPolicies = 64

// HashKind tells what of a request a HashPolicy hashes.
type HashKind uint8

// The kinds of envoy.config.route.v3.RouteAction.HashPolicy.
const (
	HashHeader         HashKind = iota // all values of a field
	HashCookie                         // the value of a cookie
	HashSourceIP                       // the client's address without its port
	HashQueryParameter                 // the first value of a query parameter
)

// HashPolicy says what of a request decides which host it goes to. A request that has nothing of the kind has no hash by it.
type HashPolicy struct {
	Kind HashKind
	// Name is that of the field (lower-case), cookie or parameter.
	Name string
	// Terminal ends the list where there is a hash by now.
	Terminal bool
	// Rewrite is applied to each value of a field before it is hashed; nil for none.
	Rewrite *Rewrite
	// Cookie says how a cookie is made for a client without one; nil makes none.
	Cookie *HashedCookie
}

// HashedCookie is a cookie that is given to a client so that its requests go to the same host.
type HashedCookie struct {
	// TTL is how long the client keeps it, in whole seconds; 0 is for as long as it runs.
	TTL        time.Duration
	Path       string // empty for none
	Attributes []CookieAttribute
}

// CookieAttribute is an attribute of Set-Cookie. An empty value stands for an attribute that is its name only.
type CookieAttribute struct{ Name, Value string }

// Hashing is how a cluster of RingHash or Maglev hashes. Sizes of 0 stand for the defaults.
type Hashing struct {
	MinRingSize, MaxRingSize uint64
	TableSize                uint64
	Hostnames                bool // use_hostname_for_hashing
	MurmurHash2              bool // instead of xxHash64, in a ring
	// BalanceFactor is hash_balance_factor: how many requests in flight a host may have, in percent of its share of all; 0 is no
	// bound.
	BalanceFactor uint32
	// Policies take the place of those of the route, if there are any: those of the load balancing policy, or else of the cluster
	// (HttpProtocolOptions.hash_policy).
	Policies []HashPolicy
}
