package route

import (
	"fmt"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// otherRequests is the virtual cluster of the requests that no other of their virtual host matches, as Envoy calls it.
const otherRequests = "other"

// StatGroup is a group of requests that has statistics of its own: those of a virtual cluster, or of a route with a stat_prefix.
type StatGroup struct {
	Index  int    // in Table.StatGroups
	Name   string // of the virtual cluster, or the stat_prefix
	Prefix string // of its statistics, such as "vhost.v.vcluster.c."
}

// virtualCluster is a virtual cluster of a virtual host.
type virtualCluster struct {
	conditions conditions
	group      *StatGroup
}

// StatGroups returns the groups of the table, by their Index. It is read-only.
func (t *Table) StatGroups() []*StatGroup { return t.groups }

// StatGroup returns the group that the requests of the route are for the sake of its stat_prefix, nil without one.
func (r *Route) StatGroup() *StatGroup { return r.group }

// VirtualCluster returns the group that a request of the virtual host is in: that of the first virtual cluster that matches, nil
// where the virtual host has none.
func (vh *VirtualHost) VirtualCluster(req *message.Request) *StatGroup {
	if len(vh.clusters) == 0 {
		return nil
	}
	_, query := splitTarget(req.Path)
	head := head{request: req, query: query}
	for i := range vh.clusters {
		if vh.clusters[i].conditions.match(&head) {
			return vh.clusters[i].group
		}
	}
	return vh.others
}

// statGroup makes a group of requests of a virtual host.
func (c *compiler) statGroup(host, kind, name string) *StatGroup {
	fit := strings.NewReplacer(":", "_")
	g := &StatGroup{
		Index: len(c.table.groups), Name: name, Prefix: "vhost." + fit.Replace(host) + "." + kind + "." + fit.Replace(name) + ".",
	}
	c.table.groups = append(c.table.groups, g)
	return g
}

// virtualClusters compiles those of a virtual host.
func (c *compiler) virtualClusters(vh *VirtualHost) error {
	for i := range vh.Config.VirtualClusters {
		said := &vh.Config.VirtualClusters[i]
		conditions, err := compileConditions(&config.RouteMatch{Headers: said.Headers}, config.FractionAll)
		if err != nil {
			return fmt.Errorf("virtual_clusters: %q: %w", said.Name, err)
		}
		vh.clusters = append(vh.clusters, virtualCluster{conditions, c.statGroup(vh.Name, "vcluster", said.Name)})
	}
	if len(vh.clusters) > 0 {
		vh.others = c.statGroup(vh.Name, "vcluster", otherRequests)
	}
	return nil
}
