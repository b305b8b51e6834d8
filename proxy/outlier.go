package proxy

import (
	"strconv"
	"sync"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/outlier"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// outlierTargets returns the clusters of c that have outlier detection.
func (c *compiled) outlierTargets() map[string]*outlier.Target {
	targets := make(map[string]*outlier.Target)
	for _, k := range c.clusters {
		if k.monitors != nil {
			targets[k.config.Name] = &outlier.Target{
				Config: k.config.Outlier, Assignment: k.assignment, Health: k.checked, Ejected: k.ejected, Monitors: k.monitors, Stats: k.scopes.outlier,
			}
		}
	}
	return targets
}

// sampleHosts returns what requests to the hosts of a cluster have come to, on all workers.
func (s *Server) sampleHosts(cluster string) map[config.Address]outlier.Counts {
	var mu sync.Mutex
	all := make(map[config.Address]outlier.Counts)
	s.onEveryWorker(func(w *worker) {
		k := w.byName[cluster]
		if k == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		k.Hosts(func(h *upstream.Host) {
			sum := all[h.At()]
			sum.Add(&h.Counts)
			all[h.At()] = sum
		})
	})
	return all
}

// publishEjected takes what outlier detection has decided.
func (s *Server) publishEjected(cluster string, ejected map[config.Address]bool) {
	changes := config.Changes[map[config.Address]bool]{Set: map[string]map[config.Address]bool{cluster: ejected}}
	if len(ejected) == 0 {
		changes = config.Changes[map[config.Address]bool]{Remove: []string{cluster}}
	}
	if err := s.store.Apply(config.SourceOutlier, config.Delta{Ejected: changes}); err != nil {
		s.log.Error("what outlier detection found could not be used", zap.String("cluster", cluster), zap.Error(err))
	}
}

// answered tells outlier detection of the response head that has come.
func (x *exchange) answered() { x.lease.Answered(judgedStatus(x.cluster, &x.response, x.grpc)) }

// judge returns what outlier detection takes for an error, nil where it goes by statuses.
func (k *compiledCluster) judge() func(*message.Response) bool {
	if k.errors == nil || k.monitors == nil {
		return nil
	}
	return k.errors.Match
}

// judgedStatus returns the status that a host of a cluster is judged by: with error_matcher it is one of 5xx for an error and 200 for
// anything else. A gRPC call that has failed at once says so in the head of its response.
func judgedStatus(k *upstream.Cluster, resp *message.Response, grpc bool) int {
	if failed := k.Judge(); failed != nil {
		switch {
		case !failed(resp):
			return 200
		case resp.Status < 500:
			return 500
		}
		return resp.Status
	}
	if grpc && resp.Status == 200 {
		if value, told := resp.Fields.Get(message.NameGRPCStatus); told {
			if code, err := strconv.ParseUint(string(value), 10, 8); err == nil {
				return httpStatusOf(code)
			}
		}
	}
	return resp.Status
}

// httpStatusOf returns the HTTP status that is like a gRPC one, as google/rpc/code.proto has it.
func httpStatusOf(code uint64) int {
	statuses := [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}
	if code < uint64(len(statuses)) {
		return statuses[code]
	}
	return 500
}
