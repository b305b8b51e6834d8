package acceptance

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// filterSetup has listener filters look at connections of a listener whose chains are given.
func filterSetup(filters []any, chains ...*config.FilterChain) *harness.Setup {
	s := harness.NewSetup()
	for _, f := range filters {
		s.Listener.Filters = append(s.Listener.Filters, config.ListenerFilter{Config: f})
	}
	s.Listener.Chains, s.Listener.Default = chains, nil
	return s
}

// tcpChain returns a chain that passes the connections that match on to a cluster.
func tcpChain(cluster string, match config.ChainMatch) *config.FilterChain {
	return &config.FilterChain{Match: match, TCP: &config.TCPProxy{
		StatPrefix: cluster, Clusters: []config.WeightedCluster{{Name: cluster, Weight: 1}},
		IdleTimeout: config.DefaultTCPIdle, MaxConnectAttempts: config.DefaultMaxConnectAttempts,
	}}
}

var inspectTLS = config.TLSInspector{MaxClientHello: config.DefaultMaxClientHello}

// helloRecorder is a connection that keeps what is written.
type helloRecorder struct {
	net.Conn
	strings.Builder
}

func (r *helloRecorder) Write(b []byte) (int, error) { return r.Builder.Write(b) }
func (r *helloRecorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *helloRecorder) Close() error                { return nil }

// clientHello returns what a client of TLS for the name sends first.
func clientHello(t *testing.T, name string, protocols ...string) string {
	var r helloRecorder
	// One group of keys, so that the hello is short.
	_ = tls.Client(&r, &tls.Config{ServerName: name, NextProtos: protocols, CurvePreferences: []tls.CurveID{tls.X25519}}).HandshakeContext(t.Context())
	return r.String()
}

// echo says what it reads.
func echo(p *harness.Peer) {
	for {
		b := p.ReadBytes(1)
		if b == "" {
			return
		}
		p.Write(b)
	}
}

// TestListenerFilterTLS passes TLS on by the name that clients ask for, every byte of it, however it is split.
func TestListenerFilterTLS(t *testing.T) {
	one, many, plain := harness.NewOrigin(t, echo), harness.NewOrigin(t, echo), harness.NewOrigin(t, echo)
	s := filterSetup([]any{inspectTLS},
		tcpChain("one", config.ChainMatch{ServerNames: []string{"one.test"}, TransportProtocol: "tls"}),
		tcpChain("many", config.ChainMatch{ServerNames: []string{"*.many.test"}, ApplicationProtocols: []string{"h2"}}),
		tcpChain("plain", config.ChainMatch{TransportProtocol: "raw_buffer"}),
	)
	s.Clusters = []*config.Cluster{harness.Cluster("one", one.Addr()), harness.Cluster("many", many.Addr()), harness.Cluster("plain", plain.Addr())}
	p := s.Start(t)
	total := uint64(0)
	for _, tt := range []struct{ bytes, cluster string }{
		{clientHello(t, "ONE.test"), "one"},
		{clientHello(t, "x.many.test", "h2", "http/1.1"), "many"},
		{"SSH-2.0-x\r\n", "plain"},
	} {
		before := p.Stat("cluster." + tt.cluster + ".upstream_cx_total")
		opened := uint64(0)
		p.EachSplit(tt.bytes, 1, func(how string, c *harness.Client) {
			opened++
			c.Expect(tt.bytes)
		})
		if got := p.Stat("cluster."+tt.cluster+".upstream_cx_total") - before; got != opened {
			t.Errorf("%d connections to %s, want %d", got, tt.cluster, opened)
		}
		total += opened
	}
	c := p.Dial()
	c.Send(clientHello(t, "other.test"))
	c.ExpectClosed()
	for name, want := range map[string]uint64{
		"no_filter_chain_match": 1, "downstream_cx_total": total, "downstream_pre_cx_active": 0, "downstream_pre_cx_timeout": 0,
	} {
		if got := listenerStat(p, name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	found, sni, alpn := p.Stat("tls_inspector.tls_found"), p.Stat("tls_inspector.sni_found"), p.Stat("tls_inspector.alpn_found")
	if not := p.Stat("tls_inspector.tls_not_found"); found+not != total+1 || sni != found || alpn == 0 || alpn+p.Stat("tls_inspector.alpn_not_found") != found {
		t.Errorf("found %d, with a name %d, with protocols %d, not TLS %d", found, sni, alpn, not)
	}
}

// TestListenerFilterPassthrough has a real client shake hands with a real server through the proxy.
func TestListenerFilterPassthrough(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.TLS.ServerName+r.URL.Path) }))
	defer server.Close()
	s := filterSetup([]any{inspectTLS}, tcpChain("web", config.ChainMatch{ServerNames: []string{"*.com"}}))
	s.Clusters = []*config.Cluster{harness.Cluster("web", netip.MustParseAddrPort(server.Listener.Addr().String()))}
	p := s.Start(t)
	client := server.Client()
	transport := client.Transport.(*http.Transport)
	address := p.Address() // where every name leads
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client.Timeout = harness.Guard
	defer transport.CloseIdleConnections()
	resp, err := client.Get("https://example.com/path")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); string(body) != "example.com/path" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

// TestListenerFilterTLSRefuses closes what does not fit.
func TestListenerFilterTLSRefuses(t *testing.T) {
	hello := clientHello(t, "a.test")
	answer := answerChain("", config.ChainMatch{}, "hi")
	p := filterSetup([]any{config.TLSInspector{MaxClientHello: 256, CloseOnError: true}}, answer).Start(t)
	for _, bytes := range []string{"GET / HTTP/1.1\r\n", hello[:257]} {
		c := p.Dial()
		c.Send(bytes)
		c.ExpectClosed()
	}
	gone := p.Dial()
	gone.Send(hello[:100])
	p.Sync()
	gone.CloseWrite()
	gone.ExpectClosed()
	for name, want := range map[string]uint64{
		"tls_inspector.client_hello_too_large": 1, "tls_inspector.tls_not_found": 1, "tls_inspector.tls_found": 0,
	} {
		if got := p.Stat(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if got := listenerStat(p, "downstream_listener_filter_remote_close"); got != 1 {
		t.Errorf("%d connections were closed by their client, want 1", got)
	}
	if got := listenerStat(p, "downstream_cx_total"); got != 0 {
		t.Errorf("%d connections got a chain, want none", got)
	}
}

// TestListenerFilterHTTP tells HTTP/1 from HTTP/2 and both from other things.
func TestListenerFilterHTTP(t *testing.T) {
	other := harness.NewOrigin(t, echo)
	s := filterSetup([]any{inspectTLS, config.HTTPInspector{}},
		answerChain("", config.ChainMatch{ApplicationProtocols: []string{"http/1.1"}}, "one"),
		answerChain("", config.ChainMatch{ApplicationProtocols: []string{"h2c"}}, "two"),
		tcpChain("other", config.ChainMatch{}),
	)
	s.Clusters = []*config.Cluster{harness.Cluster("other", other.Addr())}
	p := s.Start(t)
	n := uint64(0)
	p.EachSplit(harness.Get("/"), 1, func(how string, c *harness.Client) {
		n++
		if got := c.ReadResponse("GET"); got.Body != "one" {
			t.Errorf("%s: %q", how, got.Raw)
		}
	})
	// The rest of the preface may come with the first request, which is then in what the inspector has read.
	frames := http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	m := uint64(0)
	p.EachSplit(frames, 1, func(how string, c *harness.Client) {
		m++
		c.Expect("\x00\x00") // the beginning of SETTINGS
	})
	c := p.DialH2()
	if got := c.Response(c.Get("/")); got.Status != 200 || string(got.Body) != "two" {
		t.Errorf("over HTTP/2: %v", got)
	}
	c.Close()
	o := p.Dial()
	o.Send("\x00binary")
	o.Expect("\x00binary")
	for name, want := range map[string]uint64{"http11_found": n, "http2_found": m + 1, "http_not_found": 1, "http10_found": 0, "read_error": 0} {
		if got := p.Stat("http_inspector." + name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	gone := p.Dial()
	gone.Send("GET /")
	p.Sync()
	gone.CloseWrite()
	gone.ExpectClosed()
	if got := p.Stat("http_inspector.read_error"); got != 1 {
		t.Errorf("read_error is %d, want 1", got)
	}
}

// proxyV2 returns a header for a connection over IPv4 from 192.0.2.7 port 1234, with so many bytes after the addresses.
func proxyV2(tlvs int) string {
	n := 12 + tlvs
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11" + string([]byte{byte(n >> 8), byte(n)}) + "\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\xd2\x01\xbb" + strings.Repeat("t", tlvs)
}

// TestListenerFilterProxyProtocol holds that requests are those of the client that the header names, for the choice of the
// chain as well, however the bytes come.
func TestListenerFilterProxyProtocol(t *testing.T) {
	origin := harness.NewOrigin(t, harness.Echo)
	s := filterSetup([]any{config.ProxyProtocol{StatPrefix: "edge"}})
	forward := harness.Listener(harness.Forward("/", harness.ClusterName)).Default
	forward.Match = config.ChainMatch{DestinationPort: 443, DirectSourcePrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, SourcePrefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	s.Listener.Chains = []*config.FilterChain{forward, answerChain("", config.ChainMatch{}, "of the proxy itself")}
	s.Clusters = []*config.Cluster{harness.Cluster(harness.ClusterName, origin.Addr())}
	p := s.Start(t)
	request := harness.Get("/path")
	for name, header := range map[string]string{
		"v1": "PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n", "v2": proxyV2(0), "v2 with TLVs": proxyV2(40),
	} {
		n := 0
		p.EachSplit(header+request, 1, func(how string, c *harness.Client) {
			n++
			if got := c.ReadResponse("GET"); got.Body != "GET /path " {
				t.Errorf("%s, %s: %q", name, how, got.Raw)
			}
		})
		for _, r := range origin.Requests() {
			if got := r.Fields.Get("x-forwarded-for"); got != "192.0.2.7" {
				t.Fatalf("%s: x-forwarded-for is %q", name, got)
			}
		}
	}
	long := p.Dial()
	long.Send(proxyV2(65000) + request)
	if got := long.ReadResponse("GET"); got.Body != "GET /path " {
		t.Errorf("65,000 bytes of TLVs: %q", got.Raw)
	}
	for _, header := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		c := p.Dial()
		c.Send(header + request)
		if got := c.ReadResponse("GET"); got.Body != "of the proxy itself" {
			t.Errorf("%q: %q", header, got.Raw)
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4 x 1 2\r\n", "\r\n\r\n\x00\r\nQUIT\n\x31"} {
		c := p.Dial()
		c.Send(bad)
		c.ExpectClosed()
	}
	for name, want := range map[string]uint64{
		"not_found_disallowed": 1, "versions.v1.error": 1, "versions.v2.error": 1, "not_found_allowed": 0, "versions.v1.disallowed": 0,
	} {
		if got := p.Stat("proxy_proto.edge." + name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if v1, v2 := p.Stat("proxy_proto.edge.versions.v1.found"), p.Stat("proxy_proto.edge.versions.v2.found"); v1 < 50 || v2 < 100 {
		t.Errorf("found %d headers of version 1, %d of version 2", v1, v2)
	}
	p.Sync()
	if got := listenerStat(p, "downstream_pre_cx_active"); got != 0 {
		t.Errorf("%d connections are being looked at, want none", got)
	}
}

// TestListenerFilterProxyProtocolVersions holds what becomes of a version that is not allowed, and of connections without a
// header.
func TestListenerFilterProxyProtocolVersions(t *testing.T) {
	const v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n"
	for _, tt := range []struct {
		name   string
		config config.ProxyProtocol
		bytes  string
		served bool
		count  string
	}{
		{"without, allowed", config.ProxyProtocol{AllowWithout: true}, "", true, "not_found_allowed"},
		{"version 1 is not allowed", config.ProxyProtocol{DisallowV1: true}, v1, false, "versions.v1.disallowed"},
		{"version 2 is not allowed", config.ProxyProtocol{DisallowV2: true}, proxyV2(0), false, "versions.v2.disallowed"},
		{"the other version", config.ProxyProtocol{DisallowV1: true}, proxyV2(0), true, "versions.v2.found"},
		{"not allowed, but neither needed", config.ProxyProtocol{DisallowV2: true, AllowWithout: true}, v1, true, "versions.v1.found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := filterSetup([]any{tt.config}, answerChain("", config.ChainMatch{}, "hi")).Start(t)
			c := p.Dial()
			c.Send(tt.bytes + harness.Get("/"))
			if tt.served {
				if got := c.ReadResponse("GET"); got.Body != "hi" {
					t.Errorf("got %q", got.Raw)
				}
			} else {
				c.ExpectClosed()
			}
			if got := p.Stat("proxy_proto." + tt.count); got != 1 {
				t.Errorf("%s is %d, want 1", tt.count, got)
			}
		})
	}
}

// TestListenerFiltersTimeout holds that a client that does not say enough is not waited for longer than configured.
func TestListenerFiltersTimeout(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		s := filterSetup([]any{inspectTLS}, answerChain("", config.ChainMatch{TransportProtocol: "raw_buffer"}, "hi"))
		s.Listener.ContinueOnTimeout = goesOn
		p := s.Start(t)
		silent, begun := p.Dial(), p.Dial()
		begun.Send("\x16\x03")
		p.Advance(config.DefaultListenerFiltersTimeout - time.Millisecond)
		silent.ExpectOpen()
		begun.ExpectOpen()
		if got := listenerStat(p, "downstream_pre_cx_active"); got != 2 {
			t.Errorf("%d connections are being looked at, want 2", got)
		}
		p.Advance(time.Millisecond)
		if !goesOn {
			silent.ExpectClosed()
			begun.ExpectClosed()
		} else {
			if got := silent.Get("/"); got.Body != "hi" {
				t.Errorf("got %q", got.Raw)
			}
			if got := begun.ReadResponse("GET"); got.Status != 400 { // its bytes are no HTTP
				t.Errorf("got %q", got.Raw)
			}
		}
		if got := listenerStat(p, "downstream_pre_cx_timeout"); got != 2 {
			t.Errorf("%d timeouts, want 2", got)
		}
	}
}

// TestListenerFiltersEnd holds that connections without a chain end with their listener.
func TestListenerFiltersEnd(t *testing.T) {
	for name, end := range map[string]func(*harness.Proxy){
		"removed": func(p *harness.Proxy) {
			p.Apply(config.Delta{Listeners: config.Changes[*config.Listener]{Replace: true}})
		},
		"stopped": func(p *harness.Proxy) { p.Server.StopListening() },
	} {
		t.Run(name, func(t *testing.T) {
			p := filterSetup([]any{inspectTLS, config.OriginalDst{}}, answerChain("", config.ChainMatch{}, "hi")).Start(t)
			c := p.Dial()
			c.Send("\x16")
			p.Sync()
			end(p)
			c.ExpectClosed()
		})
	}
}
