package als

import (
	"maps"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestEntryDetails holds what a log server is told besides: tags, trailers, lengths and times.
func TestEntryDetails(t *testing.T) {
	e := entry("/")
	e.Type, e.Response, e.Trailers = config.LogDownstreamEnd, &message.Response{Status: 200}, &message.Fields{}
	e.Request.Fields.AddRaw([]byte("x-a"), []byte("sent"))
	e.Trailers.AddRaw([]byte("x-t"), []byte("1"))
	e.TransportFailure = "f"
	e.At[accesslog.UpstreamAnswerBegan], e.At[accesslog.UpstreamAnswerEnded] = 2*time.Second, accesslog.Unset
	got := entryOf(e, &config.GRPCAccessLog{TrailerFields: []string{"x-t", "x-none"}, Tags: []config.LogTag{
		{Name: "literal", Value: "v"}, {Name: "field", Field: "x-a", Value: "d"}, {Name: "missing", Field: "x-b", Value: "d"}, {Name: "none", Field: "x-b"},
	}})
	if want := map[string]string{"literal": "v", "field": "sent", "missing": "d"}; !maps.Equal(got.CommonProperties.CustomTags, want) {
		t.Errorf("tags %v, want %v", got.CommonProperties.CustomTags, want)
	}
	if want := map[string]string{"x-t": "1"}; !maps.Equal(got.Response.ResponseTrailers, want) {
		t.Errorf("trailers %v, want %v", got.Response.ResponseTrailers, want)
	}
	if n := got.Request.RequestHeadersBytes; n != 23 { // :method GET, :path /, x-a sent
		t.Errorf("%d bytes of the request's head, want 23", n)
	}
	if n := got.Response.ResponseHeadersBytes; n != 10 { // :status 200
		t.Errorf("%d bytes of the response's head, want 10", n)
	}
	common := got.CommonProperties
	if d := common.TimeToFirstUpstreamRxByte.AsDuration(); d != 2*time.Second || common.TimeToLastUpstreamRxByte != nil {
		t.Errorf("the answer began after %v and ended after %v", d, common.TimeToLastUpstreamRxByte)
	}
	if common.UpstreamTransportFailureReason != "f" {
		t.Errorf("transport failure %q", common.UpstreamTransportFailureReason)
	}
}

// TestConnectionEntry holds that a connection has no protocol of HTTP.
func TestConnectionEntry(t *testing.T) {
	got := entryOf(&accesslog.Entry{Type: config.LogTCPConnectionEnd, Request: &message.Request{}}, &config.GRPCAccessLog{})
	if got.ProtocolVersion != 0 || got.CommonProperties.AccessLogType.String() != "TcpConnectionEnd" {
		t.Errorf("got %v", got)
	}
}
