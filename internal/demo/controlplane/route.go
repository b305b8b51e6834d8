package controlplane

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// defaultRouteTimeout is MarchProxy's for routes that give none. Envoy's would be 15 s.
const defaultRouteTimeout = 30 * time.Second

// hostGroup is some hosts that have the same routes.
type hostGroup struct {
	hosts  []string
	routes []int // indexes into Config.Routes
}

func routeResource(config Config, listenerPort uint16) *route.RouteConfiguration {
	webSocket := make(map[string]bool)
	for i := range config.Services {
		webSocket[config.Services[i].Name] = config.Services[i].usesWebSocket()
	}
	groups := groupByHosts(config.Routes)
	owned := ownedDomains(groups, listenerPort)
	resource := &route.RouteConfiguration{Name: RouteName}
	for _, group := range groups {
		host := &route.VirtualHost{Name: group.hosts[0]} // no host is in two groups, so this is unique
		for _, name := range group.hosts {
			host.Domains = append(host.Domains, owned[name]...)
		}
		for _, i := range longestPrefixFirst(config.Routes, group.routes) {
			r := &config.Routes[i]
			host.Routes = append(host.Routes, routeEntry(r, webSocket[r.ClusterName]))
		}
		resource.VirtualHosts = append(resource.VirtualHosts, host)
	}
	return resource
}

// groupByHosts returns the hosts of routes in the order in which they first occur, those with the same routes together.
func groupByHosts(routes []Route) []hostGroup {
	var hosts []string
	routesOf := make(map[string][]int)
	for i := range routes {
		for _, host := range routes[i].hosts() {
			if routesOf[host] == nil {
				hosts = append(hosts, host)
			}
			routesOf[host] = append(routesOf[host], i)
		}
	}
	var groups []hostGroup
	groupOf := make(map[string]int) // the routes, printed -> index into groups
	for _, host := range hosts {
		key := fmt.Sprint(routesOf[host])
		at, ok := groupOf[key]
		if !ok {
			at = len(groups)
			groupOf[key] = at
			groups = append(groups, hostGroup{routes: routesOf[host]})
		}
		groups[at].hosts = append(groups[at].hosts, host)
	}
	return groups
}

// ownedDomains returns the domains of each host so that none belongs to two: a domain that is a host of its own, such as example.com:10000, is not also one of
// example.com's. A route configuration in which a domain occurs twice is refused.
func ownedDomains(groups []hostGroup, listenerPort uint16) map[string][]string {
	isHost := make(map[string]bool)
	for _, group := range groups {
		for _, host := range group.hosts {
			isHost[host] = true
		}
	}
	owned := make(map[string][]string, len(isHost))
	for host := range isHost {
		owned[host] = slices.DeleteFunc(domains(host, listenerPort), func(domain string) bool {
			return domain != host && isHost[domain]
		})
	}
	return owned
}

// longestPrefixFirst orders indexes into routes: the proxy takes the first route that matches, and the longer prefix is the more exact one.
func longestPrefixFirst(routes []Route, indexes []int) []int {
	return slices.SortedStableFunc(slices.Values(indexes), func(a, b int) int {
		return cmp.Compare(len(routes[b].Prefix), len(routes[a].Prefix))
	})
}

func routeEntry(r *Route, webSocket bool) *route.Route {
	action := &route.RouteAction{
		ClusterSpecifier: &route.RouteAction_Cluster{Cluster: r.ClusterName},
		Timeout:          secondsOr(r.Timeout, defaultRouteTimeout),
	}
	if webSocket {
		action.UpgradeConfigs = []*route.RouteAction_UpgradeConfig{{UpgradeType: webSocketToken}}
	}
	return &route.Route{
		Name:   r.Name,
		Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: r.Prefix}},
		Action: &route.Route_Route{Route: action},
	}
}
