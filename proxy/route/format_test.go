package route

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	syntax "github.com/penguintechinc/marchproxy-alb/proxy/format"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func testContext() *MutationContext {
	ctx := &MutationContext{
		Request:                newRequest("h.example", "/p?q=1&r=2", "x-a", "first", "x-a", "second", "x-b", "b", "user-agent", "curl"),
		Response:               &message.Response{Status: 204},
		DownstreamRemote:       netip.MustParseAddrPort("192.0.2.1:1000"),
		DownstreamDirectRemote: netip.MustParseAddrPort("[::ffff:192.0.2.2]:2000"),
		DownstreamLocal:        netip.MustParseAddrPort("[2001:db8::3]:443"),
		UpstreamRemote:         netip.MustParseAddrPort("10.0.0.4:8080"),
		DownstreamTLSVersion:   "TLSv1.3",
		DownstreamTLSCipher:    "TLS_AES_128_GCM_SHA256",
		RequestedServerName:    "sni.example",
		StartTime:              time.Date(2016, 4, 5, 20, 17, 0, 310_456_789, time.FixedZone("", 3600)),
		Hostname:               "machine",
	}
	ctx.Response.Fields.AddRaw([]byte("x-up"), []byte("u"))
	return ctx
}

func TestOperators(t *testing.T) {
	tests := []struct{ format, want string }{
		{"plain", "plain"},
		{"100%%", "100%"},
		{"%%REQ(x-a)%%", "%REQ(x-a)%"},
		{"a%%b%PROTOCOL%%%c", "a%bHTTP/1.1%c"},
		{"%REQ(X-A)%", "first"},
		{"%REQ(x-none)%", ""},
		{"%REQ(x-none?x-b)%", "b"},
		{"%REQ(x-b?x-a)%", "b"},
		{"%REQ(x-a):3%", "fir"},
		{"%REQ(x-a):30%.", "first."},
		{"<%REQ(x-a)%%REQ(x-b)%>", "<firstb>"},
		{"%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %REQ(HOST)%", "GET /p?q=1&r=2 h.example http h.example"},
		{"%REQ(USER-AGENT)%", "curl"},
		{"%RESP(x-up)%%RESP(x-none?x-up)%", "uu"},
		{"%RESPONSE_CODE%", "204"},
		{"%QUERY_PARAM(r)%", "2"},
		{"%QUERY_PARAM(s)%", ""},
		{"%PROTOCOL%", "HTTP/1.1"},
		{"%DOWNSTREAM_REMOTE_ADDRESS%", "192.0.2.1:1000"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "192.0.2.1"},
		{"%DOWNSTREAM_REMOTE_PORT%", "1000"},
		{"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "192.0.2.2:2000"},
		{"%DOWNSTREAM_LOCAL_ADDRESS%", "[2001:db8::3]:443"},
		{"%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "2001:db8::3"},
		{"%UPSTREAM_HOST%", "10.0.0.4:8080"},
		{"%UPSTREAM_REMOTE_PORT%", "8080"},
		{"%UPSTREAM_LOCAL_ADDRESS%", ""},
		{"%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "TLSv1.3 TLS_AES_128_GCM_SHA256"},
		{"%REQUESTED_SERVER_NAME%", "sni.example"},
		{"%HOSTNAME%", "machine"},
		{"%ROUTE_NAME%/%VIRTUAL_HOST_NAME%/%UPSTREAM_CLUSTER%", "r/vh/c"},
		{"%START_TIME%", "2016-04-05T19:17:00.310Z"},
		{"t=%START_TIME(%s.%3f)%", "t=1459883820.310"},
		{"%START_TIME(%Y/%m/%dT%H:%M:%S%z %f %1f %6f %%)%", "2016/04/05T19:17:00+0000 310456789 3 310456 %"},
		{"%START_TIME(2006 %F %T %e %j %b %A)%", "2006 2016-04-05 19:17:00  5 096 Apr Tuesday"},
		{"%START_TIME(%Y):2%", "20"},
	}
	for _, test := range tests {
		if got := evaluate(t, test.format, testContext()); got != test.want {
			t.Errorf("%s: got %q, want %q", test.format, got, test.want)
		}
	}
}

// evaluate makes the value of a response field; it is empty too when the field is not added.
func evaluate(t *testing.T, value string, ctx *MutationContext) string {
	t.Helper()
	rc := newRoute("r", prefixMatch("/"))
	rc.ResponseAdd = []config.HeaderValue{{Name: "x-value", Value: value}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	arena := []byte("taken")
	r.MutateResponse(ctx, r.PickCluster(0), &arena)
	got, _ := ctx.Response.Fields.GetName([]byte("x-value"))
	return string(got)
}

func TestOperatorsOfNothing(t *testing.T) {
	const all = "%REQ(x-a)%%RESP(x-a)%%RESPONSE_CODE%%DOWNSTREAM_REMOTE_ADDRESS%%DOWNSTREAM_LOCAL_PORT%" +
		"%UPSTREAM_HOST%%START_TIME%%HOSTNAME%%UPSTREAM_CLUSTER%%REQUESTED_SERVER_NAME%%QUERY_PARAM(a)%"
	rc := newRoute("r", prefixMatch("/"))
	rc.RequestAdd = []config.HeaderValue{{Name: "x-value", Value: all}}
	r := mustCompile(t, configOf(rc)).Routes()[0]
	request := newRequest("h", "/")
	var arena []byte
	r.MutateRequest(&MutationContext{Request: request}, nil, &arena)
	if got := dump(&request.Fields); got != "" {
		t.Errorf("got %q, want no field", got)
	}
}

func TestFormatErrors(t *testing.T) {
	for _, s := range []string{
		"%", "100%", "%REQ", "%REQ(", "%REQ(x", "%REQ(x)", "%REQ(x):%", "%REQ(x):a%", "%REQ()%", "%REQ%", "%REQ(x?)%", "%req(x)%", "% %",
		"%PROTOCOL(x)%", "%NONE%", "%NONE(x)%", "%QUERY_PARAM%", "%START_TIME(%Q)%", "%START_TIME(%)%", "%DOWNSTREAM_NONE_ADDRESS%",
		"%REQ(x):99999999999999999999%", "a\nb", "a\x00b", "\x7f", strings.Repeat("%HOSTNAME%", syntax.MaxParts+1),
		"%START_TIME(" + strings.Repeat("%s", syntax.MaxParts+1) + ")%",
	} {
		if f, err := parseFormat(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, f)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("t=%START_TIME(%s.%3f)% %REQ(x-a?x-b):3%%%")
	f.Add("%REQ(x")
	f.Add("plain")
	rc := configOf(newRoute("r", prefixMatch("/")))
	f.Fuzz(func(t *testing.T, s string) {
		format, err := parseFormat(s)
		if err != nil {
			return
		}
		var arena []byte
		r := mustCompile(t, rc).Routes()[0]
		run := mutationRun{ctx: testContext(), route: r, target: r.PickCluster(0), arena: &arena}
		value := run.value(&format)
		if !validValue(value) {
			t.Errorf("%q makes %q, which no field may hold", s, value)
		}
		if !strings.Contains(s, "%") && string(value) != s {
			t.Errorf("the constant %q became %q", s, value)
		}
		if len(format.operators) > syntax.MaxParts+1 {
			t.Errorf("%q has %d parts", s, len(format.operators))
		}
	})
}

// TestFormatPipe has the paths of Unix domain sockets stand for addresses, which have no ports.
func TestFormatPipe(t *testing.T) {
	ctx := testContext()
	ctx.UpstreamRemote, ctx.UpstreamPath = netip.AddrPort{}, "@host"
	const format = "%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%."
	if got, want := evaluate(t, format, ctx), "@host @host ."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	ctx = testContext()
	ctx.DownstreamLocal, ctx.DownstreamDirectRemote, ctx.DownstreamPath = netip.AddrPort{}, netip.AddrPort{}, "/in"
	ctx.DownstreamRemote = netip.MustParseAddrPort("192.0.2.1:5")
	const ends = "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_PORT%. %DOWNSTREAM_REMOTE_ADDRESS%"
	if got, want := evaluate(t, ends, ctx), "/in /in . 192.0.2.1:5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
