package moduleservice

import (
	"context"
	"iter"
	"math"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/moduleservice/marchproxypb"
)

// GetRoutes implements marchproxypb.ModuleServiceServer.
func (s *service) GetRoutes(_ context.Context, in *marchproxypb.RoutesRequest) (*marchproxypb.RoutesResponse, error) {
	snapshot := s.options.Store.Current()
	cluster := in.GetClusterId()
	response := &marchproxypb.RoutesResponse{Version: int64(snapshot.Generation)}
	for host, route := range routes(snapshot) {
		split := effectiveSplit(snapshot, route)
		if cluster == "" || sendsTo(split, cluster) {
			response.Routes = append(response.Routes, routeConfig(snapshot, host, route, split))
		}
	}
	if len(response.Routes) == 0 && cluster != "" && snapshot.Clusters[cluster] == nil {
		return nil, status.Errorf(codes.NotFound, "cluster_id: there is no cluster %s, want %s or nothing for all routes",
			quote(cluster), oneOf(snapshot.ClusterNames()))
	}
	return response, nil
}

// routes yields every route that requests can reach, in the order of listeners, virtual hosts and routes. A route
// configuration that several listeners use comes once.
func routes(s *config.Snapshot) iter.Seq2[*config.VirtualHost, *config.Route] {
	return func(yield func(*config.VirtualHost, *config.Route) bool) {
		seen := make(map[*config.RouteConfiguration]bool)
		for _, name := range s.ListenerNames() {
			for hcm := range s.Listeners[name].Managers() {
				for rc := range s.RouteConfigurations(hcm) {
					if seen[rc] {
						continue
					}
					seen[rc] = true
					if !eachRoute(rc, yield) {
						return
					}
				}
			}
		}
	}
}

// eachRoute yields the routes of rc, and reports whether the rest is wanted.
func eachRoute(rc *config.RouteConfiguration, yield func(*config.VirtualHost, *config.Route) bool) bool {
	for _, host := range rc.VirtualHosts {
		for _, route := range host.Routes {
			if !yield(host, route) {
				return false
			}
		}
	}
	return true
}

// effectiveSplit returns the clusters and weights that a route's requests are split by, nil when it does not forward.
func effectiveSplit(s *config.Snapshot, r *config.Route) []config.WeightedCluster {
	if r.Forward == nil {
		return nil
	}
	if overlay, ok := s.Overlay.Weights[r.Name]; ok {
		return overlay
	}
	return r.Forward.Clusters
}

func sendsTo(split []config.WeightedCluster, cluster string) bool {
	for i := range split {
		if split[i].Name == cluster && split[i].Weight > 0 {
			return true
		}
	}
	return false
}

func routeConfig(s *config.Snapshot, host *config.VirtualHost, r *config.Route, split []config.WeightedCluster) *marchproxypb.RouteConfig {
	c := &marchproxypb.RouteConfig{
		Name:        r.Name,
		Prefix:      r.Match.Path, // the text of a regular expression too
		ClusterName: heaviest(split),
		Hosts:       host.Domains,
		Headers:     addedHeaders(r.RequestAdd),
		Enabled:     true,
	}
	if r.Forward != nil {
		c.TimeoutSeconds = wholeSeconds(r.Forward.Timeout)
	}
	if limit, ok := s.Overlay.RateLimits[r.Name]; ok {
		c.RateLimit = &marchproxypb.RateLimitConfig{
			RequestsPerSecond: limit.RequestsPerSecond,
			BurstSize:         limit.BurstSize,
			Enabled:           true,
		}
	}
	return c
}

// heaviest returns the cluster with the greatest weight, the first of equal ones.
func heaviest(split []config.WeightedCluster) string {
	name, weight := "", uint32(0)
	for i := range split {
		if name == "" || split[i].Weight > weight {
			name, weight = split[i].Name, split[i].Weight
		}
	}
	return name
}

// addedHeaders shows fields as a map, in which those of the same name share an entry.
func addedHeaders(add []config.HeaderValue) map[string]string {
	if len(add) == 0 {
		return nil
	}
	headers := make(map[string]string, len(add))
	for _, h := range add {
		before, present := headers[h.Name]
		switch {
		case !present || h.Action == config.OverwriteIfExistsOrAdd || h.Action == config.OverwriteIfExists:
			headers[h.Name] = h.Value
		case h.Action == config.AppendIfExistsOrAdd:
			headers[h.Name] = before + ", " + h.Value
		}
	}
	return headers
}

// wholeSeconds rounds up: a timeout of 100 ms is not none.
func wholeSeconds(d time.Duration) int32 {
	seconds := d / time.Second
	if d%time.Second > 0 {
		seconds++
	}
	return int32(min(seconds, math.MaxInt32))
}
