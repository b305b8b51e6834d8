package proxy

import (
	"cmp"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/health"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
)

// fieldImmediateFail is the field by which a host asks, in any response, to be taken out at once.
var fieldImmediateFail = []byte("x-envoy-immediate-health-check-fail")

// checkTargets returns the clusters of c that have a health check. Those that do not say begin their connections at from.
func (c *compiled) checkTargets(from *config.Bind) (targets []health.Target) {
	add := func(k *compiledCluster, carried func() bool, warming bool) {
		if k.config.HealthCheck != nil {
			targets = append(targets, health.Target{
				Config: k.config, Assignment: k.assignment, Stats: k.scopes.health, Carried: carried, TLS: k.tls, Warming: warming,
				Bind: cmp.Or(k.config.Bind, from),
			})
		}
	}
	for _, k := range c.clusters {
		add(k, k.shared.Carried, false)
	}
	for _, k := range c.warming {
		add(k, func() bool { return false }, true)
	}
	return targets
}

// publishHealth takes what the health checks of clusters have found.
func (s *Server) publishHealth(found map[*config.Cluster]*config.ClusterHealth) {
	if err := s.store.Apply(config.SourceHealth, config.Delta{Health: found}); err != nil {
		s.log.Error("what health checks found could not be used", zap.Error(err))
	}
}

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
	at, checker, cluster := h.At(), w.server.checker, k.Config()
	go checker.Fail(cluster, at) // it waits for a lock
}
