package formatter

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

func testEntry() *accesslog.Entry {
	e := &accesslog.Entry{Type: config.LogDownstreamEnd,
		Request: &message.Request{
			Method: []byte("GET"), Path: []byte("/p?q=1"), Authority: []byte("h.example"), Scheme: []byte("http"), Version: message.HTTP11,
		},
		Response: &message.Response{Status: 503},
		Status:   503, Details: "via_upstream", Flags: []string{"UC", "URX"}, Route: "r", Cluster: "c", Attempts: 2,
		DownstreamRemote:       netip.MustParseAddrPort("192.0.2.1:1000"),
		DownstreamDirectRemote: netip.MustParseAddrPort("[::ffff:192.0.2.2]:2000"),
		DownstreamLocal:        netip.MustParseAddrPort("[2001:db8::3]:443"),
		UpstreamRemote:         netip.MustParseAddrPort("10.0.0.4:8080"),
		TLS:                    &tls.Peer{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", ServerName: "sni.example", Certificate: clientCertificate()},
		Hostname:               "machine",
		FilterChain:            "fc", VirtualHost: "vh", VirtualCluster: "vc", ConnectionID: 17, TerminationDetails: "ended", TransportFailure: "no route to host",
		UpstreamVersion: message.HTTP2, HasUpstreamVersion: true,
		Start:    time.Date(2016, 4, 5, 20, 17, 0, 310_456_789, time.UTC),
		Duration: 1234567 * time.Microsecond,
		At: [accesslog.PointCount]time.Duration{
			0, 2 * time.Millisecond, 3 * time.Millisecond, 4500 * time.Microsecond, 10 * time.Millisecond, 20 * time.Millisecond,
			12 * time.Millisecond, 30 * time.Millisecond,
		},
		BytesReceived: 3, BytesSent: 5,
	}
	e.Request.Fields.AddRaw([]byte("user-agent"), []byte(`a"b\`))
	e.Request.Fields.AddRaw([]byte("x-a"), []byte("first"))
	e.Request.Fields.AddRaw([]byte("x-a"), []byte("second"))
	e.Request.Fields.AddRaw([]byte("x-empty"), nil)
	e.Response.Fields.AddRaw([]byte("x-up"), []byte("u"))
	e.Request.Fields.AddRaw([]byte("content-type"), []byte("application/grpc+proto"))
	e.Request.Fields.AddRaw([]byte("x-request-id"), []byte("id-1"))
	e.Request.Fields.AddRaw([]byte("x-envoy-original-path"), []byte("/o?q=2"))
	e.Trailers = &message.Fields{}
	e.Trailers.AddRaw([]byte("grpc-status"), []byte("14"))
	e.Trailers.AddRaw([]byte("x-t"), []byte("tr"))
	return e
}

// emptyEntry is of a request that got no answer.
func emptyEntry() *accesslog.Entry {
	return &accesslog.Entry{Type: config.LogDownstreamEnd, Request: &message.Request{Version: message.HTTP2}, At: [accesslog.PointCount]time.Duration{
		accesslog.Unset, accesslog.Unset, accesslog.Unset, accesslog.Unset, accesslog.Unset, accesslog.Unset, accesslog.Unset, accesslog.Unset,
	}}
}

// clientCertificate has everything that operators print of one.
func clientCertificate() *x509.Certificate {
	return &x509.Certificate{
		Raw: []byte("certificate"), Subject: pkix.Name{CommonName: "client\r\n"}, Issuer: pkix.Name{CommonName: "issuer"},
		SerialNumber: big.NewInt(0xabc), DNSNames: []string{"a.example", "b.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 9)},
		URIs:      []*url.URL{{Scheme: "spiffe", Host: "client"}},
		NotBefore: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func line(t *testing.T, f *config.LogFormat, e *accesslog.Entry) string {
	t.Helper()
	compiled, err := Compile(f)
	if err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	got := string(compiled.Append([]byte("<"), e))
	if !strings.HasPrefix(got, "<") {
		t.Errorf("%+v: %q has lost what was before", f, got)
	}
	return strings.TrimPrefix(got, "<")
}

// TestOperators has every operator with a value and without one, in text and alone in JSON.
func TestOperators(t *testing.T) {
	tests := []struct{ operator, text, json, unset, unsetJSON string }{
		{"REQ(X-A)", "first", `"first"`, "-", "null"},
		{"REQ(x-a):3", "fir", `"fir"`, "-", "null"},
		{"REQ(x-empty)", "", `""`, "-", "null"},
		{"REQ(x-none?x-a)", "first", `"first"`, "-", "null"},
		{"REQ(:METHOD)", "GET", `"GET"`, "-", "null"},
		{"REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", "/o?q=2", `"/o?q=2"`, "-", "null"},
		{"REQ_WITHOUT_QUERY(:PATH)", "/p", `"/p"`, "-", "null"},
		{"REQ_WITHOUT_QUERY(x-a):2", "fi", `"fi"`, "-", "null"},
		{"PATH", "/o?q=2", `"/o?q=2"`, "-", "null"},
		{"PATH(NQ)", "/o", `"/o"`, "-", "null"},
		{"PATH(WQ:PATH)", "/p?q=1", `"/p?q=1"`, "-", "null"},
		{"PATH(NQ:ORIG)", "/o", `"/o"`, "-", "null"},
		{"PATH(NQ:ORIG_OR_PATH)", "/o", `"/o"`, "-", "null"},
		{"QUERY_PARAM(q)", "1", `"1"`, "-", "null"},
		{"QUERY_PARAM(none)", "-", "null", "-", "null"},
		{"TRAILER(X-T)", "tr", `"tr"`, "-", "null"},
		{"TRAILER(none?x-t)", "tr", `"tr"`, "-", "null"},
		{"GRPC_STATUS", "Unavailable", `"Unavailable"`, "-", "null"},
		{"GRPC_STATUS(CAMEL_STRING)", "Unavailable", `"Unavailable"`, "-", "null"},
		{"GRPC_STATUS(SNAKE_STRING)", "UNAVAILABLE", `"UNAVAILABLE"`, "-", "null"},
		{"GRPC_STATUS(NUMBER)", "14", "14", "-", "null"},
		{"GRPC_STATUS_NUMBER", "14", "14", "-", "null"},
		{"REQUEST_TX_DURATION", "4", "4", "-", "null"},
		{"RESPONSE_DURATION", "10", "10", "-", "null"},
		{"RESPONSE_TX_DURATION", "20", "20", "-", "null"},
		{"ROUNDTRIP_DURATION", "-", "null", "-", "null"},
		{"COMMON_DURATION(US_TX_BEG:US_TX_END:us)", "1500", "1500", "-", "null"},
		{"COMMON_DURATION(DS_RX_BEG:DS_TX_BEG)", "12", "12", "-", "null"},
		{"COMMON_DURATION(DS_TX_BEG:DS_RX_BEG:ms)", "-", "null", "-", "null"},
		{"REQUEST_HEADERS_BYTES", "166", "166", "0", "0"},
		{"RESPONSE_HEADERS_BYTES", "15", "15", "0", "0"},
		{"RESPONSE_TRAILERS_BYTES", "18", "18", "0", "0"},
		{"CONNECTION_ID", "17", "17", "0", "0"},
		{"STREAM_ID", "id-1", `"id-1"`, "-", "null"},
		{"FILTER_CHAIN_NAME", "fc", `"fc"`, "-", "null"},
		{"VIRTUAL_HOST_NAME", "vh", `"vh"`, "-", "null"},
		{"VIRTUAL_CLUSTER_NAME", "vc", `"vc"`, "-", "null"},
		{"CONNECTION_TERMINATION_DETAILS", "ended", `"ended"`, "-", "null"},
		{"UPSTREAM_TRANSPORT_FAILURE_REASON", "no_route_to_host", `"no_route_to_host"`, "-", "null"},
		{"UPSTREAM_PROTOCOL", "HTTP/2", `"HTTP/2"`, "-", "null"},
		{"UPSTREAM_CLUSTER_RAW", "c", `"c"`, "-", "null"},
		{"LOCAL_REPLY_BODY", "", `""`, "", `""`},
		{"DYNAMIC_METADATA(envoy.lb:a:b)", "-", "null", "-", "null"},
		{"DOWNSTREAM_PEER_URI_SAN", "spiffe://client", `"spiffe://client"`, "-", "null"},
		{"DOWNSTREAM_PEER_DNS_SAN", "a.example,b.example", `"a.example,b.example"`, "-", "null"},
		{"DOWNSTREAM_PEER_IP_SAN", "192.0.2.9", `"192.0.2.9"`, "-", "null"},
		{"DOWNSTREAM_PEER_SUBJECT", "CN=client", `"CN=client"`, "-", "null"},
		{"DOWNSTREAM_PEER_ISSUER", "CN=issuer", `"CN=issuer"`, "-", "null"},
		{"DOWNSTREAM_PEER_SERIAL", "0abc", `"0abc"`, "-", "null"},
		{"DOWNSTREAM_PEER_FINGERPRINT_1", "735ad571c189d7ba84464bf4a9f1d2280175b128", `"735ad571c189d7ba84464bf4a9f1d2280175b128"`, "-", "null"},
		{"DOWNSTREAM_PEER_FINGERPRINT_256", "03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72", `"03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72"`, "-", "null"},
		{"DOWNSTREAM_PEER_CERT():29", "-----BEGIN%20CERTIFICATE-----", `"-----BEGIN%20CERTIFICATE-----"`, "-", "null"},
		{"DOWNSTREAM_PEER_CERT_V_START", "2020-01-02T03:04:05.000Z", `"2020-01-02T03:04:05.000Z"`, "-", "null"},
		{"DOWNSTREAM_PEER_CERT_V_END(%Y)", "2030", `"2030"`, "-", "null"},
		{"DOWNSTREAM_LOCAL_SUBJECT", "-", "null", "-", "null"},
		{"REQ(:AUTHORITY)", "h.example", `"h.example"`, "-", "null"},
		{"REQ(:scheme)", "http", `"http"`, "-", "null"},
		{"REQ(USER-AGENT)", `a"b\`, `"a\"b\\"`, "-", "null"},
		{"RESP(x-up)", "u", `"u"`, "-", "null"},
		{"RESP(x-none?x-up)", "u", `"u"`, "-", "null"},
		{"RESP(:STATUS)", "503", "503", "0", "0"},
		{"START_TIME", "2016-04-05T20:17:00.310Z", `"2016-04-05T20:17:00.310Z"`, "", `""`},
		{"START_TIME(%s.%3f)", "1459887420.310", `"1459887420.310"`, "", `""`},
		{"PROTOCOL", "HTTP/1.1", `"HTTP/1.1"`, "HTTP/2", `"HTTP/2"`},
		{"RESPONSE_CODE", "503", "503", "0", "0"},
		{"RESPONSE_CODE():1", "5", `"5"`, "0", `"0"`},
		{"RESPONSE_CODE_DETAILS", "via_upstream", `"via_upstream"`, "-", "null"},
		{"RESPONSE_FLAGS", "UC,URX", `"UC,URX"`, "-", `"-"`},
		{"RESPONSE_FLAGS_LONG", "UpstreamConnectionTermination,UpstreamRetryLimitExceeded",
			`"UpstreamConnectionTermination,UpstreamRetryLimitExceeded"`, "-", `"-"`},
		{"BYTES_RECEIVED", "3", "3", "0", "0"},
		{"BYTES_SENT", "5", "5", "0", "0"},
		{"DURATION", "1234", "1234", "0", "0"},
		{"REQUEST_DURATION", "2", "2", "-", "null"},
		{"UPSTREAM_REQUEST_ATTEMPT_COUNT", "2", "2", "0", "0"},
		{"ROUTE_NAME", "r", `"r"`, "-", "null"},
		{"UPSTREAM_CLUSTER", "c", `"c"`, "-", "null"},
		{"UPSTREAM_HOST", "10.0.0.4:8080", `"10.0.0.4:8080"`, "-", "null"},
		{"UPSTREAM_REMOTE_ADDRESS", "10.0.0.4:8080", `"10.0.0.4:8080"`, "-", "null"},
		{"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "10.0.0.4", `"10.0.0.4"`, "-", "null"},
		{"UPSTREAM_REMOTE_PORT", "8080", "8080", "-", "null"},
		{"DOWNSTREAM_REMOTE_ADDRESS", "192.0.2.1:1000", `"192.0.2.1:1000"`, "-", "null"},
		{"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "192.0.2.2:2000", `"192.0.2.2:2000"`, "-", "null"},
		{"DOWNSTREAM_LOCAL_ADDRESS", "[2001:db8::3]:443", `"[2001:db8::3]:443"`, "-", "null"},
		{"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "2001:db8::3", `"2001:db8::3"`, "-", "null"},
		{"DOWNSTREAM_REMOTE_PORT", "1000", "1000", "-", "null"},
		{"REQUESTED_SERVER_NAME", "sni.example", `"sni.example"`, "-", "null"},
		{"DOWNSTREAM_TLS_VERSION", "TLSv1.3", `"TLSv1.3"`, "-", "null"},
		{"DOWNSTREAM_TLS_CIPHER", "TLS_AES_128_GCM_SHA256", `"TLS_AES_128_GCM_SHA256"`, "-", "null"},
		{"HOSTNAME", "machine", `"machine"`, "-", "null"},
		{"ACCESS_LOG_TYPE", "DownstreamEnd", `"DownstreamEnd"`, "DownstreamEnd", `"DownstreamEnd"`},
		{"ENVIRONMENT(LOG_TEST)", "set", `"set"`, "set", `"set"`},
		{"ENVIRONMENT(LOG_TEST_NONE)", "-", "null", "-", "null"},
	}
	t.Setenv("LOG_TEST", "set")
	for _, test := range tests {
		operator := "%" + test.operator + "%"
		text := &config.LogFormat{Text: "[" + operator + "]"}
		object := &config.LogFormat{JSON: map[string]any{"k": operator}}
		for _, c := range []struct {
			f    *config.LogFormat
			e    *accesslog.Entry
			want string
		}{
			{text, testEntry(), "[" + test.text + "]"},
			{text, emptyEntry(), "[" + test.unset + "]"},
			{object, testEntry(), `{"k":` + test.json + "}\n"},
			{object, emptyEntry(), `{"k":` + test.unsetJSON + "}\n"},
		} {
			if got := line(t, c.f, c.e); got != c.want {
				t.Errorf("%s: got %q, want %q", operator, got, c.want)
			}
		}
	}
}

func TestDefaultFormat(t *testing.T) {
	want := `[2016-04-05T20:17:00.310Z] "GET /o?q=2 HTTP/1.1" 503 UC,URX 3 5 1234 - "-" "a"b\" "id-1" "h.example" "10.0.0.4:8080"` + "\n"
	if got := line(t, &config.LogFormat{Text: config.DefaultLogFormat}, testEntry()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOmitEmpty(t *testing.T) {
	if got := line(t, &config.LogFormat{Text: "[%ROUTE_NAME%]", OmitEmpty: true}, emptyEntry()); got != "[]" {
		t.Errorf("got %s", got)
	}
	f := &config.LogFormat{OmitEmpty: true, JSON: map[string]any{
		"a": "%ROUTE_NAME%", "b": "%REQUEST_DURATION%", "c": "x%ROUTE_NAME%", "d": "%BYTES_SENT%", "e": map[string]any{"f": "%HOSTNAME%"},
	}}
	if got, want := line(t, f, emptyEntry()), `{"c":"x","d":0,"e":{}}`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	f := &config.LogFormat{JSON: map[string]any{
		"z": "%%plain\n\"", "empty": "", "number": 1.5, "whole": float64(3), "bool": true, "null": nil,
		"list": []any{"%BYTES_SENT%", map[string]any{"x": "%ROUTE_NAME%"}, "two"},
		"mix":  "%ROUTE_NAME%:%BYTES_SENT% %REQ(user-agent)% %REQ(x-none)%",
		`q"k`:  "1",
	}}
	want := `{"bool":true,"empty":"","list":[5,{"x":"r"},"two"],"mix":"r:5 a\"b\\ -","null":null,"number":1.5,"q\"k":"1","whole":3,` +
		`"z":"%plain\n\""}` + "\n"
	got := line(t, f, testEntry())
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Errorf("%s is no JSON", got)
	}
}

func TestCompileErrors(t *testing.T) {
	deep := any("x")
	for range maxDepth + 1 {
		deep = map[string]any{"k": deep}
	}
	for _, f := range []config.LogFormat{
		{Text: "%NONE%"}, {Text: "%"}, {Text: "%REQ()%"}, {Text: "%REQ(x?)%"}, {Text: "%PROTOCOL(x)%"}, {Text: "%ENVIRONMENT%"},
		{Text: "%DOWNSTREAM_NONE_PORT%"}, {Text: "%DOWNSTREAM_NONE_ADDRESS%"}, {Text: "%DOWNSTREAM_NONE_ADDRESS_WITHOUT_PORT%"},
		{Text: "%START_TIME(%Q)%"}, {Text: "%GRPC_STATUS(none)%"}, {Text: "%DYNAMIC_METADATA%"}, {Text: "%FILTER_STATE(a)%"},
		{Text: "%DYNAMIC_METADATA(envoy.filters.listener.tls_inspector:failure_reason)%"}, {Text: "%PATH(none)%"}, {Text: "%PATH(NQ:none)%"},
		{Text: "%QUERY_PARAM%"}, {Text: "%TRAILER%"}, {Text: "%COMMON_DURATION(DS_RX_BEG)%"}, {Text: "%COMMON_DURATION(US_CX_BEG:US_CX_END)%"},
		{Text: "%COMMON_DURATION(DS_RX_BEG:DS_RX_END:s)%"}, {Text: "%COMMON_DURATION(DS_RX_BEG:DS_RX_END:ms:ms)%"},
		{Text: "%DOWNSTREAM_PEER_CERT_V_START(%Q)%"}, {Text: "%CONNECTION_ID(x)%"}, {Text: "%UPSTREAM_WIRE_BYTES_SENT%"},
		{JSON: map[string]any{"k": "%NONE%"}}, {JSON: map[string]any{"k": []any{"%NONE%"}}}, {JSON: map[string]any{"k": deep}},
		{JSON: map[string]any{"k": make([]any, maxNodes)}},
	} {
		if got, err := Compile(&f); err == nil {
			t.Errorf("%+v: got %+v, want an error", f, got)
		}
	}
	_, err := Compile(&config.LogFormat{JSON: map[string]any{"key": "%FILTER_STATE(x)%"}})
	if err == nil || !strings.Contains(err.Error(), `"key"`) || !strings.Contains(err.Error(), "FILTER_STATE") {
		t.Errorf("error %v, want one that names the key and the operator", err)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "\"\\\n\r\t\x00\x1f": `\"\\\n\r\t\u0000\u001f`, "é€😀": "é€😀",
		"\xff": `\ufffd`, "a\xe2\x82z": `a\ufffd\ufffdz`, "\xe2\xc3\xa9\"": `\ufffdé\"`,
	} {
		if got := string(escapeTail([]byte("\""+in), 1)); got != "\""+want {
			t.Errorf("%q: got %s, want \"%s", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add([]byte("a\xe2\x82z\"\\\n"))
	f.Add([]byte("\xf0\x9f\x98"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := append(escapeTail(append([]byte(`"`), in...), 1), '"')
		var text string
		if err := json.Unmarshal(got, &text); err != nil {
			t.Fatalf("%q became %s: %v", in, got, err)
		}
		if utf8.Valid(in) && text != string(in) {
			t.Errorf("%q became %s", in, got)
		}
	})
}

func TestAppendAllocates(t *testing.T) {
	formats := []*config.LogFormat{
		{Text: config.DefaultLogFormat},
		{JSON: map[string]any{"a": "%REQ(user-agent)%", "b": "%DURATION%", "c": "x %UPSTREAM_HOST%", "d": []any{"%RESPONSE_FLAGS_LONG%"}}},
	}
	e, dst := testEntry(), make([]byte, 0, 4096)
	for _, f := range formats {
		compiled, err := Compile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { compiled.Append(dst, e) }); n != 0 {
			t.Errorf("%+v: %v allocations per line", f, n)
		}
	}
}

// TestAppendAtMost holds that a line is whole up to its limit, and that one which is longer stops soon after it.
func TestAppendAtMost(t *testing.T) {
	e := &accesslog.Entry{Request: &message.Request{Path: []byte("/0123456789")}}
	path := "%REQ(:PATH)%"
	for name, format := range map[string]*config.LogFormat{
		"text": {Text: path + path + path},
		"JSON": {JSON: map[string]any{"a": path, "b": []any{path, path}, "c": map[string]any{"d": path}}},
	} {
		f, err := Compile(format)
		if err != nil {
			t.Fatal(err)
		}
		whole := string(f.Append([]byte("before"), e))
		for limit := range len(whole) {
			got, ok := f.AppendAtMost([]byte("before"), e, limit)
			if fits := len(whole)-len("before") <= limit; ok != fits || ok && string(got) != whole {
				t.Errorf("%s: at most %d: got %q, %v of %q", name, limit, got, ok, whole)
			}
			if most := len("before") + limit + len(`,"b":["/0123456789"]}]`) + 1; len(got) > most {
				t.Errorf("%s: at most %d: got %d bytes", name, limit, len(got))
			}
		}
	}
}
