package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// groupResponses are the statistics of the responses to a group's requests.
var groupResponses = responseStats{stats.VirtualUpstreamRqStatus, stats.VirtualUpstreamRqTime}

// setStatGroups finds the groups that the request is counted in. Most are in none, which is all that is asked for them later.
func (x *exchange) setStatGroups(vh *route.VirtualHost) {
	x.virtualCluster = vh.VirtualCluster(&x.request)
	x.grouped = x.virtualCluster != nil || x.route.StatGroup() != nil
}

// countInGroups counts one in a statistic of stats.Virtual.
func (x *exchange) countInGroups(stat int) {
	if x.grouped {
		x.eachStatGroup(func(b *stats.Block) { b.Inc(stat) })
	}
}

// countResponseInGroups counts the response at hand.
func (x *exchange) countResponseInGroups(took int64) {
	if x.grouped {
		x.eachStatGroup(func(b *stats.Block) { groupResponses.count(b, x.response.Status, took) })
	}
}

// eachStatGroup calls do with what the groups of the request are counted in: that of its virtual cluster, that of its route.
func (x *exchange) eachStatGroup(do func(*stats.Block)) {
	for _, g := range [...]*route.StatGroup{x.virtualCluster, x.route.StatGroup()} {
		if g != nil {
			do(x.table.group(x.worker, g))
		}
	}
}

func (x *exchange) virtualClusterName() string {
	if x.virtualCluster == nil {
		return ""
	}
	return x.virtualCluster.Name
}
