package upstream

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// secured returns a cluster whose only host, which is under TLS, chooses the protocol, and whether that is HTTP/2.
func secured(t testing.TB, http2 bool) (*worker, *Cluster) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("ok")) }))
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	context, err := tls.NewUpstream(&config.UpstreamTLS{}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w, cfg := newWorker(t), clusterConfig()
	cfg.Breakers.MaxRequests = 1024
	cfg.Protocol = config.ProtocolAuto
	k := w.cluster(cfg, netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "https://")))
	w.speakHTTP2(k, 100)
	block := w.shard.Block(w.store.Scope("cluster.test.ssl.", stats.SSL))
	factory := w.shard.Block(w.store.Scope("cluster.test.client_ssl_socket_factory.", stats.SSLSocketFactory))
	w.do(func() { k.Secure(&tls.Sockets{Default: context}, block, factory) })
	return w, k
}

// TestNegotiated holds that a kept connection whose protocol the host chose costs no allocation, and that none is opened beside it.
func TestNegotiated(t *testing.T) {
	for _, test := range []struct {
		name  string
		http2 bool
		asked string
	}{{"HTTP/1.1", false, ""}, {"HTTP/2", true, ""}, {"HTTP/1.1 to a name", false, "a.test"}, {"HTTP/2 to a name", true, "a.test"}} {
		t.Run(test.name, func(t *testing.T) {
			http2 := test.http2
			w, k := secured(t, http2)
			x := w.ask(k, Ask{Protocol: Negotiated, Name: []byte(test.asked)}, Queued)
			x.wantStream()
			if got := x.http2.conn != nil; got != http2 {
				t.Fatalf("spoken to in HTTP/2 %v, want %v", got, http2)
			}
			if !http2 {
				x.serveAlone()
			}
			x.release(Success, true)
			a := Ask{Protocol: Negotiated, Response: x.ask.Response, Name: []byte(test.asked)}
			w.do(func() {
				allocations := testing.AllocsPerRun(1000, func() {
					if k.Acquire(&x.Lease, k.Pick(), x.task, a) != Granted {
						t.Fatal("the kept connection was not granted")
					}
					if x.conn != nil { // as it is once a request was answered
						x.pool.idle = append(x.pool.idle, x.conn)
						x.conn.state, x.conn = connIdle, nil
					}
					x.Release(Success, true)
				})
				if allocations != 0 {
					t.Errorf("%v allocations, want none", allocations)
				}
			})
			w.wantStats(map[string]int64{"upstream_cx_total": 1, "upstream_rq_pending_total": 1})
			w.do(k.Retire)
			w.wantNothingInUse(k)
		})
	}
}

// serveAlone has a real server answer the request of x.
func (x *exchange) serveAlone() {
	x.w.t.Helper()
	x.send()
	x.receive()
}
