package proxy

import (
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// secretsOf returns what a snapshot has of the secrets that are referred to, nil for one that has not come.
func secretsOf(s *config.Snapshot, refs []config.SecretRef) []*config.Secret {
	out := make([]*config.Secret, len(refs))
	for i, ref := range refs {
		out[i] = s.Secrets[ref.Key()]
	}
	return out
}

// secureCluster gives a cluster its TLS: that of the generation before, where nothing of it has changed.
func (s *Server) secureCluster(k, old *compiledCluster, next *config.Snapshot) (err error) {
	cfg := k.config.TLS
	if cfg == nil {
		return nil
	}
	k.secrets = secretsOf(next, cfg.Secrets())
	make := func() (*tls.Upstream, error) { return tls.NewUpstream(cfg, next.Secrets, time.Now) }
	switch {
	case old == nil || old.tls == nil || old.config.TLS != cfg || !slices.Equal(old.secrets, k.secrets):
		k.tls, err = make()
	case s.stale(old.tls):
		k.tls = renew(s, old.tls, make)
	default:
		k.tls = old.tls
	}
	return err
}

// secureChain is secureCluster for a filter chain.
func (s *Server) secureChain(k, old *compiledChain, next *config.Snapshot, undo *cleanup) (err error) {
	cfg := k.identity.config.TLS
	if cfg == nil {
		return nil
	}
	k.sslScope = s.scope(undo, k.listenerScope.Prefix()+"ssl.", stats.SSL)
	k.secrets = secretsOf(next, cfg.Secrets())
	make := func() (*tls.Downstream, error) { return tls.NewDownstream(cfg, next.Secrets, time.Now) }
	switch {
	case old == nil || old.tls == nil || !slices.Equal(old.secrets, k.secrets):
		k.tls, err = make()
	case s.stale(old.tls):
		k.tls = renew(s, old.tls, make)
	default:
		k.tls = old.tls
	}
	return err
}

// chain returns the chain of an identity, nil when there is none that gets connections.
func (c *compiled) chain(id *chainIdentity) *compiledChain {
	l := c.listeners[id.listener.Name]
	if l == nil {
		return nil
	}
	for k := range l.all() {
		if k.identity == id {
			return k
		}
	}
	return nil
}
