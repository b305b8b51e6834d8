package bulk

import (
	"context"
	"errors"
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// churn changes the configuration and waits until the proxy has acknowledged it.
func (s *Server) churn(ctx context.Context) error {
	nonces, err := s.sendChurn()
	if err != nil {
		return err
	}
	left := 0
	err = s.await(ctx, func() bool {
		left = 0
		for _, nonce := range nonces {
			if _, ok := s.stream.unanswered[nonce]; ok {
				left++
			}
		}
		return left == 0
	})
	if err != nil && err == ctx.Err() {
		return fmt.Errorf("%d of %d responses are not acknowledged: %w", left, len(nonces), err)
	}
	return err
}

// sendChurn sends the changes and returns their nonces.
func (s *Server) sendChurn() (nonces []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return nil, errors.New("there is no stream")
	}
	s.churned++
	version := fmt.Sprintf("churn-%d", s.churned)
	last := s.size.Clusters - 1
	at := s.size.addresses(last)
	if s.churned%2 == 1 {
		at = append(at, s.size.moved())
	}
	for _, change := range []struct {
		url     string
		message proto.Message
	}{
		{resource.ClusterType, s.otherCluster()},
		{resource.AssignmentType, assignment(last, s.port, at...)},
		{resource.RouteType, s.otherRoutes()},
	} {
		response := s.response(change.url, version, wrap(version, resource.Name, change.message))
		nonces = append(nonces, response.GetNonce())
		s.stream.send(response)
	}
	return nonces, nil
}

// otherCluster is the one before the last with a connect timeout by turns. Nobody asks for it, so that no request is lost with it.
func (s *Server) otherCluster() proto.Message {
	c := clusters(s.size.Clusters)[max(0, s.size.Clusters-2)].(*clusterv3.Cluster)
	c.ConnectTimeout = durationpb.New(connectTimeout + time.Duration(s.churned%2)*time.Second)
	return c
}

// otherRoutes are all routes with a timeout that is another each time.
func (s *Server) otherRoutes() proto.Message {
	rc := s.size.routes(s.size.Clusters).(*routev3.RouteConfiguration)
	for _, vhost := range rc.GetVirtualHosts() {
		for _, route := range vhost.GetRoutes() {
			route.GetRoute().Timeout = durationpb.New(time.Hour + time.Duration(s.churned)*time.Second)
		}
	}
	return rc
}
