package route

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Mirror is one more cluster that requests are sent to, whose answers nobody sees. It is immutable.
type Mirror struct {
	config *config.MirrorPolicy
	index  int // of the cluster, -1 when there is none of that name
	share  uint32

	clusterField requestField                  // cluster_header
	clusterIndex func(name string) (int, bool) // nil without cluster_header

	mutations MutationList
}

// mirrors compiles the mirror policies of one level; those that no request falls into are left out.
func (c *compiler) mirrors(list []config.MirrorPolicy) ([]Mirror, error) {
	var compiled []Mirror
	for i := range list {
		m := Mirror{config: &list[i], index: -1, share: c.fraction(list[i].Fraction)}
		if m.share == 0 {
			continue
		}
		if header := list[i].ClusterHeader; header != "" {
			m.clusterField, m.clusterIndex = newRequestField(header), c.options.ClusterIndex
		} else if index, ok := c.options.ClusterIndex(list[i].Cluster); ok {
			m.index = index
		}
		if !validTarget(list[i].HostRewrite) {
			return nil, fmt.Errorf("request_mirror_policies[%d]: host_rewrite_literal %q: spaces and control characters are not allowed",
				i, list[i].HostRewrite)
		}
		var err error
		if m.mutations, err = CompileMutationList(list[i].Mutations); err != nil {
			return nil, fmt.Errorf("request_mirror_policies[%d]: request_headers_mutations%w", i, err)
		}
		compiled = append(compiled, m)
	}
	return compiled, nil
}

// mirrorsOf returns the mirrors of a route that forwards, those of its virtual host where it says nothing, or those of the route
// configuration.
func (c *compiler) mirrorsOf(r *Route) ([]Mirror, error) {
	switch {
	case len(r.Config.Forward.Mirrors) > 0:
		return c.mirrors(r.Config.Forward.Mirrors)
	case len(r.VirtualHost.Config.Mirrors) > 0:
		return r.VirtualHost.mirrors, nil
	}
	return c.tableMirrors, nil
}

// Mirrors returns where else requests are sent. The slice must not be changed.
func (r *Route) Mirrors() []Mirror { return r.mirrors }

// Takes reports whether a request is mirrored. random is uniform over all of uint64.
func (m *Mirror) Takes(random uint64) bool {
	return m.share >= config.FractionAll || random%config.FractionAll < uint64(m.share)
}

// Cluster returns the index of the cluster that a request is mirrored to, -1 when there is none.
func (m *Mirror) Cluster(req *message.Request) int {
	if m.clusterIndex == nil {
		return m.index
	}
	name, _ := m.clusterField.values(req)
	if i, ok := m.clusterIndex(unsafe.String(unsafe.SliceData(name), len(name))); ok {
		return i
	}
	return -1
}

// Mutate makes ctx.Request, a copy of the request to the target, what the mirror is to see. What it adds is appended to *arena as
// in Route.MutateRequest.
func (m *Mirror) Mutate(ctx *MutationContext, r *Route, target *Target, arena *[]byte) {
	m.mutations.MutateRequest(ctx, r, target, arena)
	switch {
	case m.config.HostRewrite != "":
		start := len(*arena)
		*arena = append(*arena, m.config.HostRewrite...)
		ctx.Request.Authority = (*arena)[start:len(*arena):len(*arena)]
	case !m.config.KeepHost:
		start := len(*arena)
		*arena = appendShadowHost(*arena, ctx.Request.Authority)
		ctx.Request.Authority = (*arena)[start:len(*arena):len(*arena)]
	}
}

// appendShadowHost appends the host that tells an origin's logs that a request is a mirrored one: the authority with "-shadow"
// before its port.
func appendShadowHost(dst, authority []byte) []byte {
	host, port := authority, []byte(nil)
	if colon := bytes.LastIndexByte(authority, ':'); colon > bytes.IndexByte(authority, ']') {
		host, port = authority[:colon], authority[colon:]
	}
	dst = append(append(dst, host...), "-shadow"...)
	return append(dst, port...)
}
