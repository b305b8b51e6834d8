package bootstrap

import (
	"fmt"
	"slices"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// secrets decodes the static secrets. A generic_secret is decoded by what reads it: staticSecret.
func (d *decoder) secrets(list []*tlsv3.Secret) {
	index := make(map[string]int)
	for i, s := range list {
		path := fmt.Sprintf("static_resources.secrets[%d]", i)
		if s.GetName() == "" {
			d.errorf(path+".name", "must not be empty")
			continue
		}
		if other, ok := index[s.GetName()]; ok {
			d.errorf(path+".name", "%q is the name of secrets[%d] too", s.GetName(), other)
			continue
		}
		index[s.GetName()] = i
		if s.GetGenericSecret() != nil {
			continue
		}
		decoded, err := resource.Secret(s)
		if err != nil {
			d.failed(path, err)
			continue
		}
		d.out.Secrets = append(d.out.Secrets, decoded)
	}
}

// CheckSecrets reports which of refs is to a static secret that b does not have.
func (b *Bootstrap) CheckSecrets(refs []config.SecretRef) error {
	for _, ref := range refs {
		if ref.Static && !slices.ContainsFunc(b.Secrets, func(s *config.Secret) bool { return s.Name == ref.Name }) {
			return fmt.Errorf("secret %q is not among static_resources.secrets, where one without sds_config must be", ref.Name)
		}
	}
	return nil
}

// SecretsByKey returns the static secrets by the names under which a snapshot holds them.
func (b *Bootstrap) SecretsByKey() map[string]*config.Secret {
	secrets := make(map[string]*config.Secret, len(b.Secrets))
	for _, s := range b.Secrets {
		secrets[config.SecretRef{Name: s.Name, Static: true}.Key()] = s
	}
	return secrets
}
