package proxy

import (
	"fmt"
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

// clusterContext is the TLS of hosts of a cluster.
type clusterContext struct {
	config  *config.UpstreamTLS
	secrets []*config.Secret // that tls was made of
	tls     *tls.Upstream
}

// secureCluster gives a cluster its TLS, with the contexts of the generation before of which nothing has changed.
func (s *Server) secureCluster(k, old *compiledCluster, next *config.Snapshot) error {
	same := old != nil && old.config == k.config
	for i, cfg := range k.config.Sockets() {
		before := old.context(cfg)
		context, err := s.clusterContext(cfg, before, next, k.scopes.sslFactory)
		switch {
		case err != nil && i < 0:
			return fmt.Errorf("transport_socket: %w", err)
		case err != nil:
			return fmt.Errorf("transport_socket_matches[%d].transport_socket: %w", i, err)
		}
		same = same && before != nil && before.tls == context.tls
		k.contexts = append(k.contexts, context)
	}
	switch {
	case same:
		k.tls = old.tls
	case k.contexts != nil:
		k.tls = k.sockets()
	}
	return nil
}

// clusterContext makes the context of cfg, unless nothing has changed since before, which is nil where there was none.
// factory counts contexts that have changed with their secrets.
func (s *Server) clusterContext(cfg *config.UpstreamTLS, before *clusterContext, next *config.Snapshot, factory *stats.Scope) (c clusterContext, err error) {
	c = clusterContext{config: cfg, secrets: secretsOf(next, cfg.Secrets())}
	var old *tls.Upstream
	same := before != nil && slices.Equal(before.secrets, c.secrets)
	if same {
		old = before.tls
	} else if before != nil {
		factory.Inc(stats.SSLSocketFactorySSLContextUpdateBySds)
	}
	c.tls, err = contextAfter(s, old, same, func() (*tls.Upstream, error) { return tls.NewUpstream(cfg, next.Secrets, time.Now) })
	return c, err
}

// context returns the context that was made of cfg, nil when there was none.
func (k *compiledCluster) context(cfg *config.UpstreamTLS) *clusterContext {
	if k == nil {
		return nil
	}
	for i := range k.contexts {
		if k.contexts[i].config == cfg {
			return &k.contexts[i]
		}
	}
	return nil
}

// sockets returns what the hosts' contexts are chosen of.
func (k *compiledCluster) sockets() *tls.Sockets {
	find := func(cfg *config.UpstreamTLS) *tls.Upstream {
		if c := k.context(cfg); c != nil {
			return c.tls
		}
		return nil // plaintext
	}
	out := &tls.Sockets{Default: find(k.config.TLS)}
	for i := range k.config.SocketMatches {
		m := &k.config.SocketMatches[i]
		out.Matches = append(out.Matches, tls.SocketMatch{Labels: &m.Match, Context: find(m.TLS)})
	}
	return out
}

// secureChain gives a filter chain its TLS: that of the generation before, where nothing of it has changed.
func (s *Server) secureChain(k, old *compiledChain, next *config.Snapshot, undo *cleanup) (err error) {
	cfg := k.identity.config.TLS
	if cfg == nil {
		return nil
	}
	k.sslScope = s.scope(undo, k.listenerScope.Prefix()+"ssl.", stats.SSL)
	k.sslFactory = s.scope(undo, k.listenerScope.Prefix()+"server_ssl_socket_factory.", stats.SSLSocketFactory)
	k.secrets = secretsOf(next, cfg.Secrets())
	var before *tls.Downstream
	had := old != nil && old.tls != nil
	same := had && slices.Equal(old.secrets, k.secrets)
	if same {
		before = old.tls
	} else if had {
		k.sslFactory.Inc(stats.SSLSocketFactorySSLContextUpdateBySds)
	}
	k.tls, err = contextAfter(s, before, same, func() (*tls.Downstream, error) { return tls.NewDownstream(cfg, next.Secrets, time.Now) })
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
