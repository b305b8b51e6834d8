package als

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// entryOf returns what a log server is told of a request. It refers to nothing of e.
func entryOf(e *accesslog.Entry, c *config.GRPCAccessLog) *datav3.HTTPAccessLogEntry {
	out := &datav3.HTTPAccessLogEntry{
		CommonProperties: common(e),
		Request:          request(e, c.RequestFields),
		Response: &datav3.HTTPResponseProperties{
			ResponseBodyBytes: uint64(e.BytesSent), ResponseCodeDetails: e.Details,
		},
	}
	switch {
	case !e.OfRequest():
	case e.Request.Version == message.HTTP10:
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP10
	case e.Request.Version == message.HTTP11:
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP11
	case e.Request.Version == message.HTTP2:
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP2
	}
	out.CommonProperties.CustomTags = tags(e, c.Tags)
	out.Request.RequestHeadersBytes = uint64(e.RequestHeadBytes())
	if e.Trailers != nil {
		out.Response.ResponseTrailers = named(e.Trailers, c.TrailerFields)
	}
	if e.Response != nil {
		out.Response.ResponseHeadersBytes = uint64(e.ResponseHeadBytes())
		out.Response.ResponseCode = wrapperspb.UInt32(uint32(e.Status))
		out.Response.ResponseHeaders = named(&e.Response.Fields, c.ResponseFields)
	}
	return out
}

func common(e *accesslog.Entry) *datav3.AccessLogCommon {
	out := &datav3.AccessLogCommon{
		DownstreamRemoteAddress:        address(e.DownstreamRemote, e.DownstreamPath),
		DownstreamDirectRemoteAddress:  address(e.DownstreamDirectRemote, e.DownstreamPath),
		DownstreamLocalAddress:         address(e.DownstreamLocal, e.DownstreamPath),
		UpstreamRemoteAddress:          address(e.UpstreamRemote, e.UpstreamPath),
		UpstreamCluster:                e.Cluster,
		RouteName:                      e.Route,
		StartTime:                      timestamppb.New(e.Start),
		Duration:                       durationpb.New(e.Duration),
		TimeToLastRxByte:               since(e, accesslog.RequestEnded),
		TimeToFirstUpstreamTxByte:      since(e, accesslog.UpstreamSendBegan),
		TimeToLastUpstreamTxByte:       since(e, accesslog.UpstreamSendEnded),
		TimeToFirstUpstreamRxByte:      since(e, accesslog.UpstreamAnswerBegan),
		TimeToLastUpstreamRxByte:       since(e, accesslog.UpstreamAnswerEnded),
		TimeToFirstDownstreamTxByte:    since(e, accesslog.ResponseBegan),
		TimeToLastDownstreamTxByte:     since(e, accesslog.ResponseEnded),
		UpstreamTransportFailureReason: e.TransportFailure,
		ConnectionTerminationDetails:   e.TerminationDetails,
		UpstreamRequestAttemptCount:    uint32(e.Attempts),
		ResponseFlags:                  flags(e.Flags),
		AccessLogType:                  datav3.AccessLogType(e.Type),
	}
	if t := e.TLS; t != nil {
		out.TlsProperties = &datav3.TLSProperties{TlsVersion: version(t.Version), TlsSniHostname: strings.Clone(t.ServerName)}
		if texts := t.Texts(); texts != nil {
			out.TlsProperties.PeerCertificateProperties = &datav3.TLSProperties_CertificateProperties{
				Subject: strings.ToValidUTF8(texts.Subject, "!"), Issuer: strings.ToValidUTF8(texts.Issuer, "!"),
			}
		}
	}
	return out
}

// since returns when a point was reached, nil when it was not.
func since(e *accesslog.Entry, p accesslog.Point) *durationpb.Duration {
	if e.At[p] < 0 {
		return nil
	}
	return durationpb.New(e.At[p])
}

// tags returns the tags of an entry, nil for none.
func tags(e *accesslog.Entry, list []config.LogTag) map[string]string {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]string, len(list))
	for i := range list {
		t := &list[i]
		value := t.Value
		if t.Field != "" {
			if sent, found := e.Request.Fields.GetName([]byte(t.Field)); found {
				value = text(sent)
			}
		}
		if value != "" {
			out[t.Name] = value
		}
	}
	return out
}

func version(name string) datav3.TLSProperties_TLSVersion {
	switch name {
	case "TLSv1.2":
		return datav3.TLSProperties_TLSv1_2
	case "TLSv1.3":
		return datav3.TLSProperties_TLSv1_3
	}
	return datav3.TLSProperties_VERSION_UNSPECIFIED
}

func request(e *accesslog.Entry, additional []string) *datav3.HTTPRequestProperties {
	r := e.Request
	get := func(id message.NameID) string {
		value, _ := r.Fields.Get(id)
		return text(value)
	}
	referer, _ := r.Fields.GetName([]byte("referer"))
	method, known := corev3.RequestMethod_value[string(r.Method)]
	if !known {
		method = int32(corev3.RequestMethod_METHOD_UNSPECIFIED)
	}
	return &datav3.HTTPRequestProperties{
		RequestMethod:    corev3.RequestMethod(method),
		Scheme:           text(r.Scheme),
		Authority:        text(r.Authority),
		Path:             text(r.Path),
		UserAgent:        get(message.NameUserAgent),
		Referer:          text(referer),
		ForwardedFor:     get(message.NameXForwardedFor),
		RequestId:        get(message.NameXRequestID),
		OriginalPath:     get(message.NameXEnvoyOriginalPath),
		RequestBodyBytes: uint64(e.BytesReceived),
		RequestHeaders:   named(&r.Fields, additional),
	}
}

// named returns the fields with the names, those of one name joined with commas.
func named(fields *message.Fields, names []string) map[string]string {
	var out map[string]string
	for _, name := range names {
		var values []string
		for i := range fields.All() {
			if f := &fields.All()[i]; string(f.Name) == name {
				values = append(values, text(f.Value))
			}
		}
		if values == nil {
			continue
		}
		if out == nil {
			out = make(map[string]string)
		}
		out[name] = strings.Join(values, ",")
	}
	return out
}

// text returns a copy of b as a string that protobuf takes: one of UTF-8.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "!") }

// address returns an address or, where that is not valid, the path of a Unix domain socket; nil without either.
func address(a netip.AddrPort, path string) *corev3.Address {
	switch {
	case a.IsValid():
	case path == "":
		return nil
	default:
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       a.Addr().Unmap().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())},
	}}}
}

// flags returns the message of short names, nil for none.
func flags(names []string) *datav3.ResponseFlags {
	if len(names) == 0 {
		return nil
	}
	out := &datav3.ResponseFlags{}
	for _, name := range names {
		switch name {
		case "DC":
			out.DownstreamConnectionTermination = true
		case "UH":
			out.NoHealthyUpstream = true
		case "UT":
			out.UpstreamRequestTimeout = true
		case "UR":
			out.UpstreamRemoteReset = true
		case "UF":
			out.UpstreamConnectionFailure = true
		case "UC":
			out.UpstreamConnectionTermination = true
		case "UO":
			out.UpstreamOverflow = true
		case "NR":
			out.NoRouteFound = true
		case "RL":
			out.RateLimited = true
		case "SI":
			out.StreamIdleTimeout = true
		case "DPE":
			out.DownstreamProtocolError = true
		case "UPE":
			out.UpstreamProtocolError = true
		case "NC":
			out.NoClusterFound = true
		case "DT":
			out.DurationTimeout = true
		case "LR":
			out.LocalReset = true
		case "DR":
			out.DownstreamRemoteReset = true
		case "DI":
			out.DelayInjected = true
		case "FI":
			out.FaultInjected = true
		case "UMSDR":
			out.UpstreamMaxStreamDurationReached = true
		case "URX":
			out.UpstreamRetryLimitExceeded = true
		}
	}
	return out
}
