package controlplane

import (
	"context"
	"fmt"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

const (
	// nodeKey is the one key under which every node finds its snapshot.
	nodeKey = "every-node"
	// setTimeout bounds handing a snapshot to the streams. Their queues have room for every type at once, so it is not reached unless a stream hangs.
	setTimeout = 5 * time.Second
	// otherTypes is the cache of types this control plane has no resources of. A request for one waits; answering it with an error would end the ADS stream.
	otherTypes = ""
)

// servedTypes is the order in which a snapshot is handed to clients: what is referred to before what refers to it.
// https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
func servedTypes() []resource.Type {
	return []resource.Type{resource.SecretType, resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType}
}

// everyNode maps all nodes to nodeKey: a demo has one fleet, whatever its nodes call themselves.
type everyNode struct{}

func (everyNode) ID(*core.Node) string { return nodeKey }

// caches holds one snapshot cache per resource type. A single cache in ADS mode answers a request only when it names every resource of its type, so a client
// that first needs one secret for a cluster and later another for a listener would wait for ever; caches apart answer for the names they are asked and keep
// the order of types by being set in that order.
type caches struct {
	byType map[resource.Type]cache.SnapshotCache
}

func newCaches() *caches {
	c := &caches{byType: make(map[resource.Type]cache.SnapshotCache)}
	for _, typeURL := range append(servedTypes(), otherTypes) {
		c.byType[typeURL] = cache.NewSnapshotCache(false, everyNode{}, nil)
	}
	return c
}

// mux returns the caches as one.
func (c *caches) mux() cache.Cache {
	all := make(map[string]cache.Cache, len(c.byType))
	for typeURL, one := range c.byType {
		all[typeURL] = one
	}
	classify := func(typeURL string) string {
		if _, ok := all[typeURL]; ok {
			return typeURL
		}
		return otherTypes
	}
	return &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return classify(r.GetTypeUrl()) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return classify(r.GetTypeUrl()) },
		Caches:        all,
	}
}

// set serves snapshot, type by type.
func (c *caches) set(snapshot *cache.Snapshot) error {
	ctx, cancel := context.WithTimeout(context.Background(), setTimeout)
	defer cancel()
	for _, typeURL := range servedTypes() {
		part := &cache.Snapshot{}
		index := cache.GetResponseType(typeURL)
		part.Resources[index] = snapshot.Resources[index]
		if err := c.byType[typeURL].SetSnapshot(ctx, nodeKey, part); err != nil {
			return fmt.Errorf("set %s: %w", typeURL, err)
		}
	}
	return nil
}

// newSnapshot puts resources together under one version and refuses them when they do not fit each other.
func newSnapshot(version string, resources map[resource.Type][]types.Resource) (*cache.Snapshot, error) {
	snapshot, err := cache.NewSnapshot(version, resources)
	if err != nil {
		return nil, fmt.Errorf("controlplane: snapshot %s: %w", version, err)
	}
	if err := snapshot.Consistent(); err != nil {
		return nil, fmt.Errorf("controlplane: snapshot %s is not consistent: %w", version, err)
	}
	return snapshot, nil
}
