package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

func TestSmoke(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprint(r.Header))
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL, len(body))
	}))
	defer origin.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(origin.URL, "http://"))
	log, _ := zap.NewDevelopment()
	s, err := NewServer(Options{Workers: 2, Logger: log, Stats: stats.NewStore(stats.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Store().Apply(config.SourceFile, config.Delta{
		Listeners: config.Changes[*config.Listener]{Set: map[string]*config.Listener{"l": {
			Name: "l", Address: config.Address{IP: "127.0.0.1"}, BufferLimit: config.DefaultBufferLimit,
			HTTP: &config.HTTPConnectionManager{
				StatPrefix: "in", ServerName: "envoy", UseRemoteAddress: true, GenerateRequestID: true, MaxHeaderKB: 60, MaxHeaderCount: 100,
				StreamIdle: time.Minute, ConnectionIdle: time.Hour, DelayedClose: time.Second,
				Routes: &config.RouteConfiguration{Name: "r", VirtualHosts: []*config.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*config.Route{{
					Name: "all", Match: config.RouteMatch{Path: "/", CaseSensitive: true, Fraction: config.FractionAll}, Forward: &config.Forward{
						Clusters: []config.WeightedCluster{{Name: "c", Weight: 1}}, Timeout: 15 * time.Second},
				}}}}},
			},
		}}},
		Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"c": {
			Name: "c", ConnectTimeout: time.Second, BufferLimit: config.DefaultBufferLimit, MaxHeaderKB: 60, MaxHeaderCount: 100,
			Breakers: config.Thresholds{MaxConnections: 1024, MaxPending: 1024, MaxRequests: 1024},
			Assignment: &config.ClusterLoadAssignment{Name: "c", Localities: []config.LocalityEndpoints{{Endpoints: []config.Endpoint{
				{Address: config.Address{IP: at.Addr().String(), Port: uint32(at.Port())}, Weight: 1}}}}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := s.Listeners()[0].Address.String()
	for i := range 3 {
		resp, err := http.Post("http://"+addr+"/hello?x=1", "text/plain", strings.NewReader(strings.Repeat("x", i*300000)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		t.Log(resp.Status, resp.Header, string(body), err)
	}
	c, _ := net.Dial("tcp", addr)
	fmt.Fprintf(c, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(c)
	t.Log(string(all))
	c, _ = net.Dial("tcp", addr)
	fmt.Fprintf(c, "GET /a HTTP/1.1\r\nHost : a\r\n\r\n")
	all, _ = io.ReadAll(c)
	t.Log(string(all))
}
