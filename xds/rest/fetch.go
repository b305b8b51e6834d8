package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// paths are what is posted to, by type URL: the google.api.http annotations of the discovery services.
var paths = map[string]string{
	"type.googleapis.com/envoy.config.listener.v3.Listener":                "/v3/discovery:listeners",
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration":         "/v3/discovery:routes",
	"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration":   "/v3/discovery:scoped-routes",
	"type.googleapis.com/envoy.config.cluster.v3.Cluster":                  "/v3/discovery:clusters",
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment":   "/v3/discovery:endpoints",
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret": "/v3/discovery:secrets",
	"type.googleapis.com/envoy.service.runtime.v3.Runtime":                 "/v3/discovery:runtime",
	"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig":        "/v3/discovery:extension_configs",
}

// fetch asks once. It returns the body of an answer, nil for one that says that nothing has changed.
func (s *Source) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opts.RequestTimeout,
		fmt.Errorf("no response within the request_timeout of %v", s.opts.RequestTimeout))
	defer cancel()
	request, err := s.request(ctx)
	if err != nil {
		return nil, err
	}
	// Not by way of a Client, which would follow redirections.
	counts := s.opts.Begin()
	request = request.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		outbound.Established(info.Conn.LocalAddr(), s.opts.HTTP2)
		counts.Sent(info.Conn.LocalAddr())
	}}))
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		counts.End(lost(ctx))
		return nil, reason(ctx, err)
	}
	counts.Answered(response.StatusCode)
	body, err := s.body(ctx, response)
	switch {
	case err == nil || response.StatusCode < http.StatusInternalServerError && ctx.Err() == nil:
		counts.End(outbound.Success)
	case ctx.Err() != nil:
		counts.End(lost(ctx))
	default:
		counts.End(outbound.Failure)
	}
	return body, err
}

// lost is the outcome of a request that got no response while ctx bounded it.
func lost(ctx context.Context) outbound.Outcome {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return outbound.TimedOut
	case ctx.Err() != nil:
		return outbound.Cancelled
	}
	return outbound.Unfinished
}

// body returns that of an answer, nil for one that says that nothing has changed.
func (s *Source) body(ctx context.Context, response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, nil
	default:
		return nil, fmt.Errorf("status %d, want 200 with a response or 304 for nothing new", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(s.opts.MaxReceiveBytes)+1))
	switch {
	case err != nil:
		return nil, reason(ctx, err)
	case len(body) > s.opts.MaxReceiveBytes:
		return nil, fmt.Errorf("the response is larger than %d bytes", s.opts.MaxReceiveBytes)
	case body == nil:
		body = []byte{}
	}
	return body, nil
}

// reason is why a request ended with err: that ctx did, when it did.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// request is the poll that is due.
func (s *Source) request(ctx context.Context) (*http.Request, error) {
	names, version, _ := s.unary.Wanted()
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&discoveryv3.DiscoveryRequest{
		VersionInfo:   version,
		Node:          s.opts.Node,
		ResourceNames: names,
		TypeUrl:       s.opts.Types[0].URL,
	})
	if err != nil {
		return nil, fmt.Errorf("the request cannot be written as JSON: %w", err)
	}
	to := url.URL{Scheme: "http", Host: strconv.Itoa(s.target), Path: s.path}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Host = s.opts.Host
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "") // none, or net/http names itself
	return request, nil
}

// decode decodes the body of an answer. The notes say what of it was passed over.
func decode(body []byte, rejectUnknown bool) (*discoveryv3.DiscoveryResponse, protofile.Notes, error) {
	r := &discoveryv3.DiscoveryResponse{}
	notes, err := protofile.Unmarshal(body, protofile.JSON, r, protofile.Options{AllowUnknown: !rejectUnknown})
	if err != nil {
		return nil, notes, fmt.Errorf("is not an envoy.service.discovery.v3.DiscoveryResponse: %w", err)
	}
	return r, notes, nil
}
