package xds

import (
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// kind is what the Manager must know of a resource type. The values it speaks of are all of one type of package config.
type kind struct {
	noun string // "cluster", as it stands in messages
	url  string
	// decode returns what a resource says.
	decode func(proto.Message) (any, error)
	// change puts resources into a delta and takes others out of it, by the names under which a snapshot holds them.
	change func(d *config.Delta, set map[string]any, gone []string) error
	// needs returns what a resource asks for by discovery, given by what it was asked for itself, nil for one of the
	// bootstrap or of a world. It is nil where that is nothing.
	needs func(value any, by *need) []need
	// collection returns the name of the collection that a resource is part of, where collections are asked for instead of
	// single resources. It is nil elsewhere.
	collection func(resource string) string
	// wildcard tells that all resources of the type are one collection, which is asked for without a name.
	wildcard bool
	// compose returns the value of a collection, given those of its resources in order of their names.
	compose func([]any) (any, error)
	// accepts reports why resources of the type cannot come from a source that other types can come from; nil where they can.
	accepts func(config.ConfigSource) error
	// deliver takes a resource by its name instead of change, nil when the resource is gone. It is nil where the store takes it.
	deliver func(name string, value any) error
	// goodFor returns how long a resource is good for since it was received, 0 for ever, and afterwards what is in force then. They
	// are nil where that is always for ever.
	goodFor    func(value any) time.Duration
	afterwards func(value any) any
	// removable tells that a resource that the server removes is gone. Others stay until nothing refers to them.
	removable bool
	// check reports why a resource is not what those that ask for it can use, nil where any is.
	check func(key string, value any) error
	// countsReloads tells that Envoy counts the changes taken, as config_reload.
	countsReloads bool
}

// kindOf returns a kind whose values are of type T.
func kindOf[T any, M proto.Message](
	noun, url string, decode func(M) (T, error), changes func(*config.Delta) *config.Changes[T], needs func(T, *need) []need,
) *kind {
	k := &kind{
		noun: noun, url: url,
		decode: guarded(func(message proto.Message) (any, error) { return decode(message.(M)) }),
		change: func(d *config.Delta, set map[string]any, gone []string) error {
			c := changes(d)
			c.Remove = append(c.Remove, gone...)
			if len(set) == 0 {
				return nil
			}
			if c.Set == nil {
				c.Set = make(map[string]T, len(set))
			}
			for name, value := range set {
				c.Set[name] = value.(T)
			}
			return nil
		},
	}
	if needs != nil {
		k.needs = func(value any, by *need) []need { return needs(value.(T), by) }
	}
	return k
}

// guarded returns decode with a panic in it made an error: a resource that the decoder was not made for is refused, and
// must not take the process down.
func guarded(decode func(proto.Message) (any, error)) func(proto.Message) (any, error) {
	return func(message proto.Message) (decoded any, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the decoder panicked: %v", v)
			}
		}()
		return decode(message)
	}
}

// of returns what value, which was asked for by a need or by none, asks for by discovery.
func (k *kind) of(value any, by *need) []need {
	if k.needs == nil {
		return nil
	}
	return k.needs(value, by)
}

// noChange is the change of a kind that the store does not hold.
func noChange(*config.Delta, map[string]any, []string) error { return nil }

func clusterKind() *kind {
	return kindOf("cluster", resource.ClusterType,
		func(message *clusterv3.Cluster) (*config.Cluster, error) {
			c, err := resource.Cluster(message)
			if err == nil {
				c.AddedViaAPI = true
			}
			return c, err
		},
		func(d *config.Delta) *config.Changes[*config.Cluster] { return &d.Clusters },
		func(c *config.Cluster, _ *need) (needs []need) {
			asked := make(map[string]bool)
			for _, ref := range clusterSecrets(c) {
				if key := ref.Key(); !ref.Static && !asked[key] {
					asked[key] = true
					needs = append(needs, secretNeed(ref))
				}
			}
			if c.Type == config.ClusterEDS {
				needs = append(needs, need{
					url: resource.AssignmentType, name: c.EDSName, Discovery: c.EDS,
					field: "eds_cluster_config.eds_config", statPrefix: "cluster." + c.Name + ".",
				})
			}
			return needs
		})
}

func assignmentKind() *kind {
	k := kindOf("cluster_load_assignment", resource.AssignmentType,
		func(message *endpointv3.ClusterLoadAssignment) (*config.ClusterLoadAssignment, error) {
			return resource.Assignment(message)
		},
		func(d *config.Delta) *config.Changes[*config.ClusterLoadAssignment] { return &d.Endpoints }, nil)
	k.goodFor = func(value any) time.Duration { return value.(*config.ClusterLoadAssignment).StaleAfter }
	k.afterwards = func(value any) any {
		return &config.ClusterLoadAssignment{Name: value.(*config.ClusterLoadAssignment).Name, Overprovision: config.DefaultOverprovision}
	}
	return k
}

// secretKind is of secrets that check, which may be nil, has nothing against: one that cannot be used must not be
// acknowledged, and what names it then fail without a word to the server.
func secretKind(check func(*config.Secret) error) *kind {
	return kindOf("secret", resource.SecretType,
		func(message *tlsv3.Secret) (*config.Secret, error) {
			s, err := resource.Secret(message)
			if err != nil || check == nil {
				return s, err
			}
			if err := check(s); err != nil {
				return nil, fmt.Errorf("secret %q: %w", s.Name, err)
			}
			return s, nil
		},
		func(d *config.Delta) *config.Changes[*config.Secret] { return &d.Secrets }, nil)
}

// runtimeKind is of values that take hands over by the name of their resource.
func runtimeKind(take func(resource string, texts map[string]string) error) *kind {
	return &kind{
		noun: "runtime", url: resource.RuntimeType,
		decode: guarded(func(message proto.Message) (any, error) { return resource.Runtime(message.(*runtimev3.Runtime)) }),
		change: noChange,
		deliver: func(name string, value any) error {
			texts, _ := value.(map[string]string)
			return take(name, texts)
		},
	}
}

// layerKind is of the layers of the runtime, which are all in the bootstrap.
func layerKind() *kind {
	return &kind{
		noun:   "runtime layer",
		change: noChange,
		needs: func(value any, _ *need) []need {
			l := value.(*config.RuntimeRTDS)
			return []need{{url: resource.RuntimeType, name: l.Name, Discovery: l.Discovery, field: "rtds_config", statPrefix: "runtime."}}
		},
	}
}

func listenerKind() *kind {
	return kindOf("listener", resource.ListenerType,
		func(message *listenerv3.Listener) (*config.Listener, error) { return resource.Listener(message) },
		func(d *config.Delta) *config.Changes[*config.Listener] { return &d.Listeners },
		func(l *config.Listener, _ *need) (needs []need) {
			for _, ref := range listenerSecrets(l) {
				if !ref.Static {
					needs = append(needs, secretNeed(ref))
				}
			}
			for hcm := range l.Managers() {
				if hcm.Scopes != nil {
					needs = append(needs, scopedNeeds(hcm)...)
				}
				needs = append(needs, filterNeeds(hcm)...)
				if name := hcm.RouteConfigName; name != "" {
					needs = append(needs, need{
						url: resource.RouteType, name: name, Discovery: hcm.RDS,
						field: "rds.config_source", scope: "http." + hcm.StatPrefix + ".",
						statPrefix: "http." + hcm.StatPrefix + ".rds." + name + ".",
					})
				}
			}
			return needs
		})
}

func clusterSecrets(c *config.Cluster) (refs []config.SecretRef) {
	for _, socket := range c.Sockets() {
		refs = append(refs, socket.Secrets()...)
	}
	return refs
}

func listenerSecrets(l *config.Listener) (refs []config.SecretRef) {
	for chain := range l.FilterChains() {
		if chain.TLS != nil {
			refs = append(refs, chain.TLS.Secrets()...)
		}
	}
	return refs
}

// secretsOf returns what secrets a resource of a world names.
func secretsOf(value any) []config.SecretRef {
	switch v := value.(type) {
	case *config.Cluster:
		return clusterSecrets(v)
	case *config.Listener:
		return listenerSecrets(v)
	}
	return nil
}

func secretNeed(ref config.SecretRef) need {
	return need{
		url: resource.SecretType, name: ref.Name, Discovery: ref.SDS, field: "sds_config", statPrefix: "sds." + ref.Name + ".",
	}
}
