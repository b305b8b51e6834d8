package proxy

import (
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
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

// secure gives the cluster its TLS: that of the generation before, where nothing of it has changed.
func (k *compiledCluster) secure(old *compiledCluster, next *config.Snapshot) (err error) {
	cfg := k.config.TLS
	if cfg == nil {
		return nil
	}
	k.secrets = secretsOf(next, cfg.Secrets())
	if old != nil && old.tls != nil && old.config.TLS == cfg && slices.Equal(old.secrets, k.secrets) {
		k.tls = old.tls
		return nil
	}
	k.tls, err = tls.NewUpstream(cfg, next.Secrets, time.Now)
	return err
}
