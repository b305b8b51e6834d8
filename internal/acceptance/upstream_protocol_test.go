package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/protofile"
)

// protocolHost is a host that speaks both versions of HTTP and answers with the one that it was spoken to in.
func protocolHost(t *testing.T) *harness.Proxy {
	t.Helper()
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, "x"))
	s.Route(0).ResponseAdd = []config.HeaderValue{{Name: "x-protocol", Value: "%PROTOCOL%"}}
	return s.Start(t)
}

// protocolBootstrap is a listener and a cluster with the given fields, as YAML of a bootstrap.
func protocolBootstrap(host *harness.Proxy, codec, options string) string {
	address, port, _ := strings.Cut(host.Address(), ":")
	return strings.NewReplacer("%ADDRESS%", address, "%PORT%", port, "%CODEC%", codec, "%OPTIONS%", options).Replace(`
node: {id: test, cluster: test}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: %CODEC%
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c}}]}]}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: c
    load_assignment:
      cluster_name: c
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %ADDRESS%, port_value: %PORT%}}}}]}]
    %OPTIONS%
`)
}

// httpOptions is the extension of a cluster that says which protocols its hosts are spoken to in.
func httpOptions(choice string) string {
	return fmt.Sprintf("typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "+
		"{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, %s}}", choice)
}

// TestUpstreamProtocol holds which protocol a host is spoken to in, by what its cluster says and what the client speaks, and
// that each protocol has a pool of its own.
func TestUpstreamProtocol(t *testing.T) {
	const one, two = "HTTP/1.1", "HTTP/2"
	for _, test := range []struct {
		name, options string
		ofHTTP1       string // what the host sees of a client of HTTP/1
		ofHTTP2       string
	}{
		{"nothing said", "", one, one},
		{"http_protocol_options", "http_protocol_options: {}", one, one},
		{"http2_protocol_options", "http2_protocol_options: {}", two, two},
		{"explicit HTTP/1", httpOptions("explicit_http_config: {http_protocol_options: {}}"), one, one},
		{"explicit HTTP/2", httpOptions("explicit_http_config: {http2_protocol_options: {}}"), two, two},
		{"explicit goes before what is deprecated", "http2_protocol_options: {}\n    " + httpOptions("explicit_http_config: {http_protocol_options: {}}"), one, one},
		{"the client's", httpOptions("use_downstream_protocol_config: {http_protocol_options: {}, http2_protocol_options: {}}"), one, two},
		{"the client's, deprecated", "http2_protocol_options: {}\n    protocol_selection: USE_DOWNSTREAM_PROTOCOL", one, two},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := protocolHost(t)
			p := harness.StartBootstrap(t, 1, protocolBootstrap(host, "AUTO", test.options))
			c1, c2 := p.Dial(), p.DialH2()
			const requests = 3 // which share connections
			for range requests {
				if got := c1.Get("/").Fields.Get("x-protocol"); got != test.ofHTTP1 {
					t.Errorf("the host sees %q of a client of HTTP/1, want %q", got, test.ofHTTP1)
				}
				if got := c2.Response(c2.Get("/")).Fields.Get("x-protocol"); got != test.ofHTTP2 {
					t.Errorf("the host sees %q of a client of HTTP/2, want %q", got, test.ofHTTP2)
				}
			}
			pools := map[string]uint64{one: 0, two: 0}
			pools[test.ofHTTP1], pools[test.ofHTTP2] = 1, 1
			if h1, h2 := p.ClusterStat("upstream_cx_http1_total"), p.ClusterStat("upstream_cx_http2_total"); h1 != pools[one] || h2 != pools[two] {
				t.Errorf("%d connections of HTTP/1 and %d of HTTP/2, want %d and %d", h1, h2, pools[one], pools[two])
			}
		})
	}
}

// TestUpstreamProtocolRefused holds that a cluster whose protocol cannot be had is refused by the name of what asks for it.
func TestUpstreamProtocolRefused(t *testing.T) {
	host := protocolHost(t)
	for options, want := range map[string]string{
		httpOptions("auto_config: {}"):                                              "auto_config: needs a transport_socket of TLS",
		httpOptions("auto_config: {http3_protocol_options: {}}"):                    "auto_config.http3_protocol_options: is not supported",
		httpOptions("explicit_http_config: {http3_protocol_options: {}}"):           "explicit_http_config.http3_protocol_options",
		httpOptions("use_downstream_protocol_config: {http3_protocol_options: {}}"): "use_downstream_protocol_config.http3_protocol_options",
	} {
		_, err := bootstrap.Parse("test", []byte(protocolBootstrap(host, "AUTO", options)), protofile.YAML, bootstrap.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", options, err, want)
		}
	}
}

// TestDownstreamCodec holds which clients a listener serves by its codec_type.
func TestDownstreamCodec(t *testing.T) {
	for codec, serves := range map[string][2]bool{"AUTO": {true, true}, "HTTP1": {true, false}, "HTTP2": {false, true}} {
		t.Run(codec, func(t *testing.T) {
			p := harness.StartBootstrap(t, 1, protocolBootstrap(protocolHost(t), codec, ""))
			one := p.Dial()
			one.Send(harness.Get("/"))
			if resp, err := one.TryResponse("GET"); (err == nil && resp.Status == 200) != serves[0] {
				t.Errorf("a client of HTTP/1 got %q, %v", resp.Raw, err)
			}
			two := p.Dial()
			two.Send(harness.H2Bytes(t, func(w *harness.H2Writer) {
				w.Preface()
				w.Settings()
				w.Headers(1, true, harness.H2Head("GET", "/")...)
			}))
			served := uint64(0)
			if serves[1] {
				served = 1
				two.Skip(len("\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // SETTINGS, at least
			} else if resp := two.ReadResponse("PRI"); resp.Status != 400 || resp.Fields.Get("connection") != "close" {
				t.Errorf("a client of HTTP/2 got %q", resp.Raw)
			}
			if n := p.HTTPStat("downstream_cx_http2_total"); codec != "HTTP2" && n != served {
				t.Errorf("downstream_cx_http2_total is %d, want %d", n, served)
			}
		})
	}
}

// TestPrefaceSplit holds that a client of HTTP/2 is known however its preface comes, and that what comes with it is not lost.
func TestPrefaceSplit(t *testing.T) {
	whole := harness.H2Bytes(t, func(w *harness.H2Writer) {
		w.Preface()
		w.Settings()
		w.Headers(1, true, harness.H2Head("GET", "/first")...)
	})
	for _, codec := range []config.Codec{config.CodecAuto, config.CodecHTTP2} {
		s := h2Setup(harness.NewH2Origin(t, harness.H2Echo))
		s.HTTP().Codec = codec
		p := s.Start(t)
		for at := 1; at <= len(whole); at++ {
			c := p.DialH2Raw()
			c.RawBytes(whole[:at])
			p.Sync()
			c.RawBytes(whole[at:])
			if r := c.Response(1); r.Status != 200 || r.Body != "GET /first " {
				t.Errorf("codec %d split at %d: got %v", codec, at, r)
			}
			c.Close()
		}
		if n := p.HTTPStat("downstream_cx_protocol_error"); n != 0 {
			t.Errorf("codec %d: downstream_cx_protocol_error is %d, want 0", codec, n)
		}
	}
}

// TestNearlyPreface holds that what begins like a preface and is none is a request of HTTP/1, or a bad one, wherever it is
// split. From its first line on it is a bad one of HTTP/2.
func TestNearlyPreface(t *testing.T) {
	p := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr()).Start(t)
	for input, want := range map[string]int{
		harness.Head("PRI /x"):              200, // a method like any other
		harness.Head("PRIX /x"):             200,
		"PRI * HTTP/1.1\r\nHost: a\r\n\r\n": 400, // only OPTIONS has that target
		"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n":  400,
		"pri * HTTP/2.0\r\n\r\nSM\r\n\r\n":  400,
	} {
		p.EachSplit(input, 1, func(how string, c *harness.Client) {
			if r := c.ReadResponse("PRI"); r.Status != want {
				t.Fatalf("%q %s: got %q, want status %d", input, how, r.Raw, want)
			}
		})
	}
	for _, rest := range []string{"Host: a\r\n\r\n", "\r\nSM\r\n\rX", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		whole := "PRI * HTTP/2.0\r\n" + rest
		for at := 1; at < len(whole); at++ {
			c := p.Dial()
			c.SendSplit(whole, at)
			if got := c.ReadAll(); !strings.HasSuffix(got, "invalid connection preface") || strings.HasPrefix(got, "HTTP/1") {
				t.Errorf("%q split at %d: got %q, want GOAWAY", whole, at, got)
			}
			c.Close()
		}
	}
	p.Sync()
	if n := p.HTTPStat("downstream_cx_active"); n != 0 {
		t.Errorf("%d connections are left, want none", n)
	}
}
