package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Cluster decodes a cluster. AddedViaAPI is left false.
func Cluster(c *clusterv3.Cluster) (*config.Cluster, error) { return nil, nil }
