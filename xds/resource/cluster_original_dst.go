package resource

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var originalDstConfigFields = fields{"use_http_header": decoded, "http_header_name": decoded, "upstream_port_override": decoded}

// originalHosts decodes where a cluster of type ORIGINAL_DST has its hosts from. It has no others, and their health is not asked: each
// request has one that it was meant for.
func (a *at) originalHosts(c *clusterv3.Cluster, out *config.Cluster) {
	lb := c.GetOriginalDstLbConfig()
	if out.Type != config.ClusterOriginalDst {
		if lb != nil {
			a.in("original_dst_lb_config").errorf("cannot be set on a cluster that is not of type ORIGINAL_DST")
		}
		return
	}
	for _, o := range []struct {
		field string
		set   bool
	}{
		{"load_assignment", c.GetLoadAssignment() != nil}, {"health_checks", len(c.GetHealthChecks()) > 0},
		{"outlier_detection", c.GetOutlierDetection() != nil},
	} {
		if o.set {
			a.in(o.field).errorf("cannot be set on a cluster of type ORIGINAL_DST, whose hosts are those that requests were meant for")
		}
	}
	out.OriginalDst.Cleanup = a.positive("cleanup_interval", c.GetCleanupInterval(), config.DefaultHostCleanup)
	if lb == nil {
		return
	}
	place := a.in("original_dst_lb_config")
	place.only(lb, originalDstConfigFields)
	name := lb.GetHttpHeaderName()
	if name != "" {
		name = place.in("http_header_name").fieldName(name)
	}
	switch {
	case lb.GetUseHttpHeader() && name == "":
		out.OriginalDst.Field = config.DefaultHostField
	case lb.GetUseHttpHeader():
		out.OriginalDst.Field = name
	case name != "":
		place.in("http_header_name").errorf("has no effect without use_http_header")
	}
	if port := lb.GetUpstreamPortOverride(); port != nil {
		if port.GetValue() == 0 || port.GetValue() > math.MaxUint16 {
			place.in("upstream_port_override").errorf("%d is not a port, it must be from 1 to 65535", port.GetValue())
		}
		out.OriginalDst.Port = uint16(port.GetValue())
	}
}
