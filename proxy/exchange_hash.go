package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

var fieldSetCookie = []byte("set-cookie")

// pickHost picks a host of the target cluster: the one that the request names where it may, or by the hash of the request where
// that is how the cluster balances. again is 0, and counts up when the host that was picked before will not do.
func (x *exchange) pickHost(again uint32) *upstream.Host {
	if x.cluster.Original() {
		return x.originalHost()
	}
	if h := x.overrideHost(); h != nil {
		return h
	}
	if !x.cluster.Hashes() {
		if avoid := x.avoided(); len(avoid) > 0 {
			return x.cluster.PickWithout(x.wanted(), avoid)
		}
		return x.cluster.PickOf(x.wanted())
	}
	if !x.hash.Any {
		c := x.hashContext()
		x.hash = x.hashedBy().Hash(&c)
	}
	if !x.hash.Any {
		return x.cluster.Pick()
	}
	return x.cluster.PickHash(x.hash.Value, again)
}

// wanted returns what the route wants of the hosts of its cluster, nil for nothing in particular.
func (x *exchange) wanted() *upstream.Match {
	if x.target.Subset == 0 {
		return nil
	}
	return x.table.matches[x.target.Subset-1]
}

// hashedBy returns the policies for a request to the target cluster: its own or the route's.
func (x *exchange) hashedBy() route.HashPolicies {
	if p := x.clusterPolicies(); p != nil && p.Hash != nil {
		return p.Hash
	}
	return x.route.HashPolicies
}

// clusterPolicies returns what the target cluster has in place of what the route says, nil for nothing.
func (x *exchange) clusterPolicies() *route.ClusterPolicies {
	if x.policies == nil {
		return nil
	}
	return x.policies[x.target.Index]
}

// splitValue returns what decides which of the route's clusters the request goes to.
func (x *exchange) splitValue() uint64 {
	if n, ok := x.route.SplitNumber(&x.request); ok {
		return n
	}
	if f := x.route.Config.Forward; f != nil && f.HashSplit {
		c := x.hashContext()
		c.NoCookies = true
		if h := x.route.HashPolicies.Hash(&c); h.Any {
			return h.Value
		}
	}
	return x.random
}

func (x *exchange) hashContext() route.HashContext {
	return route.HashContext{
		Request: &x.request,
		Client:  x.client().Addr(),
		Peer:    x.conn.raw.RemoteAddr(),
		Local:   x.conn.raw.LocalAddr(),
	}
}

// setCookies gives the client the cookies that were made for it.
func (x *exchange) setCookies() {
	if !x.hash.MadeCookies() {
		return
	}
	c, policies := x.hashContext(), x.hashedBy()
	for i := range policies {
		start := len(x.arena)
		if arena, made := policies.AppendSetCookie(x.arena, x.hash, i, &c); made {
			x.arena = arena
			x.response.Fields.AddRaw(fieldSetCookie, x.added(start))
		}
	}
}
