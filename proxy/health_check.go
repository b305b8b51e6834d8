package proxy

import (
	"context"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/health"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// fieldImmediateFail is the field by which a host asks, in any response, to be taken out at once.
var fieldImmediateFail = []byte("x-envoy-immediate-health-check-fail")

// checkTargets returns the clusters of c that have a health check.
func (c *compiled) checkTargets() map[string]health.Target {
	targets := make(map[string]health.Target)
	for _, k := range c.clusters {
		if k.config.HealthCheck == nil {
			continue
		}
		targets[k.config.Name] = health.Target{
			Config: k.config, Assignment: k.assignment, Stats: k.scopes.health, Carried: k.shared.Carried, TLS: k.tls,
		}
	}
	return targets
}

// publishHealth takes what the health checks of clusters have found.
func (s *Server) publishHealth(found map[string]*config.ClusterHealth) {
	changes := config.Changes[*config.ClusterHealth]{Set: make(map[string]*config.ClusterHealth)}
	for name, h := range found {
		if h == nil {
			changes.Remove = append(changes.Remove, name)
		} else {
			changes.Set[name] = h
		}
	}
	if err := s.store.Apply(config.SourceHealth, config.Delta{Health: changes}); err != nil {
		s.log.Error("what health checks found could not be used", zap.Error(err))
	}
}

// WaitChecked waits until the hosts of all clusters with health checks have been checked once, or ctx ends.
func (s *Server) WaitChecked(ctx context.Context) { s.checker.WaitFirst(ctx) }

// passFailureOn tells the health checks of the host when it asks in the response to be taken out.
func (x *exchange) passFailureOn() { x.worker.passFailureOn(x.cluster, x.lease.Host(), &x.response) }

func (w *worker) passFailureOn(k *upstream.Cluster, h *upstream.Host, resp *message.Response) {
	if k.Config().HealthCheck == nil {
		return
	}
	if _, asked := resp.Fields.GetName(fieldImmediateFail); !asked {
		return
	}
	if !h.ReportFailure() {
		return
	}
	at, checker, name := h.At(), w.server.checker, k.Config().Name
	go checker.Fail(name, at) // it waits for a lock
}
