package acceptance

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestAccessLogOperators holds what is known of a request, of its times and of the host, where that takes the whole proxy.
func TestAccessLogOperators(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	origin := harness.NewH2Origin(t, harness.H2Serve(func(p *harness.H2Peer, r harness.H2Request) {
		asked <- struct{}{}
		if p.Wait(answer) {
			p.Respond(r.StreamID, harness.H2Response{Status: 200, Body: "hello", Trailers: harness.Fields{{Name: "x-t", Value: "1"}}})
		}
	}))
	s := harness.NewSetup(origin.Addr())
	speakHTTP2(s.Clusters[0])
	s.Listener.Default.Name = "chain"
	logs := newLineLogs(s, "%PROTOCOL% %UPSTREAM_PROTOCOL% %FILTER_CHAIN_NAME% %VIRTUAL_HOST_NAME% %REQUEST_TX_DURATION% %RESPONSE_DURATION% "+
		"%COMMON_DURATION(US_TX_BEG:DS_TX_BEG:us)% %COMMON_DURATION(US_RX_BEG:US_RX_END)% %TRAILER(x-t)% %RESPONSE_TRAILERS_BYTES% "+
		"%QUERY_PARAM(q)% %REQ_WITHOUT_QUERY(:PATH)% %UPSTREAM_TRANSPORT_FAILURE_REASON%")
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("l", nil)}
	p := s.Start(t)
	c := p.Dial()
	c.Send("POST /p?q=1 HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n")
	p.Sync()
	p.Advance(time.Second)
	c.Send("abc")
	<-asked
	p.Advance(2 * time.Second)
	answer <- struct{}{}
	c.ReadResponse("POST")
	logs.next(t, "l", "HTTP/1.1 HTTP/2 chain all 1000 3000 3000000 0 1 4 1 /p -")
}

// TestAccessLogConnectionID holds that requests of a connection have its number, and those of another have another.
func TestAccessLogConnectionID(t *testing.T) {
	s := harness.NewSetup()
	s.SetRoutes(harness.Direct("/", 200, ""))
	logs := newLineLogs(s, "%CONNECTION_ID%")
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("l", nil)}
	p := s.Start(t)
	next := func(c *harness.Client) string {
		c.Get("/")
		return <-logs.lines["l"]
	}
	a, b := p.Dial(), p.Dial()
	first, second := next(a), next(b)
	if first == second || next(a) != first || next(b) != second {
		t.Errorf("connections are %s and %s", first, second)
	}
}

// TestAccessLogTransportFailure holds that why no connection to a host could be made is known to the log.
func TestAccessLogTransportFailure(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).AddrPort()
	closed.Close()
	s := harness.NewSetup(nobody)
	logs := newLineLogs(s, "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_PROTOCOL%")
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("l", nil)}
	s.Start(t).Dial().Get("/")
	logs.next(t, "l", "UF delayed_connect_error:_Connection_refused -")
}

// TestAccessLogTLS holds what is known of a client's certificate and of ours, and of a client that does not shake hands.
func TestAccessLogTLS(t *testing.T) {
	a := harness.NewAuthority(t)
	s := secured(harness.NewSetup(), a, func(c *config.DownstreamTLS) {
		c.Validation = &config.TLSValidation{CA: config.DataSource{Inline: a.CA()}, MaxDepth: -1}
	})
	s.SetRoutes(harness.Direct("/", 200, ""))
	logs := newLineLogs(s, "%DOWNSTREAM_TLS_VERSION% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_DNS_SAN% "+
		"%DOWNSTREAM_LOCAL_DNS_SAN% %DOWNSTREAM_LOCAL_IP_SAN% %CONNECTION_TERMINATION_DETAILS%")
	s.HTTP().AccessLogs = []*config.AccessLog{logs.log("requests", nil)}
	s.Listener.AccessLogs = []*config.AccessLog{logs.log("connections", nil)}
	p := s.Start(t)
	cert, key := a.Issue("client.test")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	client := tlsClient(t, p, a, false, func(c *tls.Config) { c.Certificates = []tls.Certificate{pair} })
	resp, err := client.Get("https://proxy.test/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	line := <-logs.lines["requests"]
	if !strings.HasPrefix(line, "TLSv1.3 proxy.test ") || !strings.HasSuffix(line, " client.test proxy.test 127.0.0.1 -") {
		t.Errorf("logged %q", line)
	}
	client.CloseIdleConnections()
	if got := <-logs.lines["connections"]; got != line {
		t.Errorf("logged %q, want %q", got, line)
	}

	silent := p.Dial()
	p.Sync()
	p.Advance(config.DefaultTransportSocketTimeout)
	silent.ReadAll()
	logs.next(t, "connections", "- - - - - - transport socket timeout was reached")
}
