package resource_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/internal/corpus"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// TestCorpus decodes every resource of the corpus: it is accepted, or refused by its name and the path of a field.
func TestCorpus(t *testing.T) {
	for _, scenario := range corpus.Load(t, "../..") {
		for _, messages := range scenario.Resources {
			for _, m := range messages {
				noun, err := decode(m)
				if err == nil {
					continue
				}
				for line := range strings.SplitSeq(err.Error(), "\n") {
					reason, ok := strings.CutPrefix(line, noun+` "`+resource.Name(m)+`": `)
					if !ok || !strings.Contains(reason, ": ") {
						t.Errorf("%s: %s", scenario.Name, line)
					}
				}
			}
		}
	}
}

// decode decodes a resource of any type, and returns what errors call that.
func decode(m proto.Message) (noun string, err error) {
	switch m := m.(type) {
	case *listenerv3.Listener:
		_, err = resource.Listener(m)
		return "listener", err
	case *routev3.RouteConfiguration:
		_, err = resource.RouteConfiguration(m)
		return "route configuration", err
	case *clusterv3.Cluster:
		_, err = resource.Cluster(m)
		return "cluster", err
	case *endpointv3.ClusterLoadAssignment:
		_, err = resource.Assignment(m)
		return "cluster load assignment", err
	case *tlsv3.Secret:
		_, err = resource.Secret(m)
		return "secret", err
	default:
		panic("BUG: a message that is no resource")
	}
}
