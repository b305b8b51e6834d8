package resource

import (
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Assignment decodes the endpoints of an EDS cluster.
func Assignment(cla *endpointv3.ClusterLoadAssignment) (*config.ClusterLoadAssignment, error) {
	return nil, nil
}
