package proxy

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// groupResponses are the statistics of the responses to a group's requests.
var groupResponses = responseStats{stats.VirtualUpstreamRqStatus, stats.VirtualUpstreamRqTime}

// statGroups returns the groups that the request is counted in: of its virtual cluster and of its route, nil where there is none.
func (x *exchange) statGroups() [2]*route.StatGroup {
	if x.route == nil {
		return [2]*route.StatGroup{}
	}
	return [...]*route.StatGroup{x.virtualCluster, x.route.StatGroup()}
}

// countInGroups counts one in a statistic of stats.Virtual.
func (x *exchange) countInGroups(stat int) {
	for _, g := range x.statGroups() {
		if g != nil {
			x.table.group(x.worker, g).Inc(stat)
		}
	}
}

// countResponseInGroups counts the response at hand.
func (x *exchange) countResponseInGroups(took int64) {
	for _, g := range x.statGroups() {
		if g != nil {
			groupResponses.count(x.table.group(x.worker, g), x.response.Status, took)
		}
	}
}

func (x *exchange) virtualClusterName() string {
	if x.virtualCluster == nil {
		return ""
	}
	return x.virtualCluster.Name
}
