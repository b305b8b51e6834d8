package formatter

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/format"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
)

// operator is a compiled command operator. number goes before value.
type operator struct {
	number    func(e *accesslog.Entry) (n int64, set bool)
	value     func(o *operator, dst []byte, e *accesslog.Entry) (out []byte, set bool)
	maxLength int // in bytes, 0 for none

	field, instead route.Field // of REQ, RESP, TRAILER
	hasInstead     bool
	time           format.Time
	constant       string // of ENVIRONMENT, and the name of QUERY_PARAM
	address        func(e *accesslog.Entry) netip.AddrPort
}

// append appends the value, cut to its maximum length; set is false when there is none.
func (o *operator) append(dst []byte, e *accesslog.Entry) (out []byte, set bool) {
	start := len(dst)
	if o.number != nil {
		n, set := o.number(e)
		if !set {
			return dst, false
		}
		dst = strconv.AppendInt(dst, n, 10)
	} else if dst, set = o.value(o, dst, e); !set {
		return dst[:start], false
	}
	if o.maxLength > 0 && len(dst)-start > o.maxLength {
		dst = dst[:start+o.maxLength]
	}
	return dst, true
}

func newOperator(p *format.Part) (operator, error) {
	op := operator{maxLength: p.MaxLength}
	switch p.Name {
	case "REQ", "RESP", "TRAILER", "REQ_WITHOUT_QUERY":
		op.value = fieldOperator(p.Name)
		name, instead, found := strings.Cut(p.Arguments, "?")
		if name == "" || found && instead == "" {
			return op, errors.New("a header name is missing, want (NAME) or (NAME?OTHER)")
		}
		if p.Name == "RESP" && strings.EqualFold(name, ":status") {
			op.number = numberOperator("RESPONSE_CODE")
			return op, nil
		}
		op.field, op.instead, op.hasInstead = route.NewField(name), route.NewField(instead), found
		return op, nil
	case "START_TIME":
		var err error
		op.value = startTime
		op.time, err = format.ParseTime(p.Arguments)
		return op, err
	case "ENVIRONMENT":
		if p.Arguments == "" {
			return op, errors.New("the name of a variable is missing, want (NAME)")
		}
		op.constant, op.value = os.Getenv(p.Arguments), constant
		return op, nil
	case "PATH":
		return op, op.pathOperator(p.Arguments)
	case "QUERY_PARAM":
		return op, op.queryOperator(p.Arguments)
	case "COMMON_DURATION":
		return op, op.durationOperator(p.Arguments)
	case "GRPC_STATUS":
		return op, op.grpcOperator(p.Arguments)
	case "DOWNSTREAM_PEER_CERT_V_START", "DOWNSTREAM_PEER_CERT_V_END":
		return op, op.validityOperator(p)
	case "DYNAMIC_METADATA":
		return op, op.metadataOperator(p.Arguments)
	}
	if p.Arguments != "" {
		return op, fmt.Errorf("it takes no arguments, or is not one that access logs have a value for: (%s)", p.Arguments)
	}
	if op.number = numberOperator(p.Name); op.number != nil {
		return op, nil
	}
	if text := textOperator(p.Name); text != nil {
		op.value = func(_ *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) { return text(dst, e) }
		return op, nil
	}
	if op.addressOperator(p.Name) || op.tlsOperator(p.Name) {
		return op, nil
	}
	return op, errors.New("it is not one that access logs have a value for")
}

// fieldOperator returns the operator of that name, whose value is that of a field.
func fieldOperator(name string) func(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	switch name {
	case "RESP":
		return responseField
	case "TRAILER":
		return trailerField
	case "REQ_WITHOUT_QUERY":
		return requestFieldWithoutQuery
	default:
		return requestField
	}
}

func requestField(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	value, set := o.field.OfRequest(e.Request)
	if !set && o.hasInstead {
		value, set = o.instead.OfRequest(e.Request)
	}
	return append(dst, value...), set
}

func responseField(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	if e.Response == nil {
		return dst, false
	}
	value, set := o.field.OfResponse(e.Response)
	if !set && o.hasInstead {
		value, set = o.instead.OfResponse(e.Response)
	}
	return append(dst, value...), set
}

func trailerField(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	if e.Trailers == nil {
		return dst, false
	}
	value, set := o.field.OfTrailers(e.Trailers)
	if !set && o.hasInstead {
		value, set = o.instead.OfTrailers(e.Trailers)
	}
	return append(dst, value...), set
}

func startTime(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	return o.time.Append(dst, e.Start), true
}

func constant(o *operator, dst []byte, _ *accesslog.Entry) ([]byte, bool) {
	return append(dst, o.constant...), o.constant != ""
}

// numberOperator returns the operator whose value is a number, nil for none of that name.
func numberOperator(name string) func(e *accesslog.Entry) (int64, bool) {
	switch name {
	case "RESPONSE_CODE":
		return func(e *accesslog.Entry) (int64, bool) { return int64(e.Status), true }
	case "BYTES_RECEIVED":
		return func(e *accesslog.Entry) (int64, bool) { return e.BytesReceived, true }
	case "BYTES_SENT":
		return func(e *accesslog.Entry) (int64, bool) { return e.BytesSent, true }
	case "DURATION":
		return func(e *accesslog.Entry) (int64, bool) { return e.Duration.Milliseconds(), true }
	case "REQUEST_DURATION":
		return between(accesslog.RequestBegan, accesslog.RequestEnded)
	case "REQUEST_TX_DURATION":
		return between(accesslog.RequestBegan, accesslog.UpstreamSendEnded)
	case "RESPONSE_DURATION":
		return between(accesslog.RequestBegan, accesslog.UpstreamAnswerBegan)
	case "RESPONSE_TX_DURATION":
		return between(accesslog.UpstreamAnswerBegan, accesslog.ResponseEnded)
	case "REQUEST_HEADERS_BYTES":
		return func(e *accesslog.Entry) (int64, bool) { return e.RequestHeadBytes(), true }
	case "RESPONSE_HEADERS_BYTES":
		return func(e *accesslog.Entry) (int64, bool) { return e.ResponseHeadBytes(), true }
	case "RESPONSE_TRAILERS_BYTES":
		return func(e *accesslog.Entry) (int64, bool) { return e.TrailerBytes(), true }
	case "GRPC_STATUS_NUMBER":
		return grpcStatus
	case "CONNECTION_ID":
		return func(e *accesslog.Entry) (int64, bool) { return int64(e.ConnectionID), true }
	case "UPSTREAM_REQUEST_ATTEMPT_COUNT":
		return func(e *accesslog.Entry) (int64, bool) { return int64(e.Attempts), true }
	}
	return nil
}

// textOperator returns the operator whose value is a text, nil for none of that name.
func textOperator(name string) func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
	field := func(value func(e *accesslog.Entry) string) func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
			s := value(e)
			return append(dst, s...), s != ""
		}
	}
	switch name {
	case "PROTOCOL":
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
			if !e.OfRequest() {
				return dst, false
			}
			return append(dst, e.Request.Version.String()...), true
		}
	case "RESPONSE_CODE_DETAILS":
		return field(func(e *accesslog.Entry) string { return e.Details })
	case "ROUTE_NAME":
		return field(func(e *accesslog.Entry) string { return e.Route })
	case "VIRTUAL_CLUSTER_NAME":
		return field(func(e *accesslog.Entry) string { return e.VirtualCluster })
	case "VIRTUAL_HOST_NAME":
		return field(func(e *accesslog.Entry) string { return e.VirtualHost })
	case "FILTER_CHAIN_NAME":
		return field(func(e *accesslog.Entry) string { return e.FilterChain })
	case "CONNECTION_TERMINATION_DETAILS":
		return field(func(e *accesslog.Entry) string { return e.TerminationDetails })
	case "UPSTREAM_TRANSPORT_FAILURE_REASON":
		return transportFailure
	case "UPSTREAM_PROTOCOL":
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
			if !e.HasUpstreamVersion {
				return dst, false
			}
			return append(dst, e.UpstreamVersion.String()...), true
		}
	case "STREAM_ID":
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) {
			id, set := e.Request.Fields.Get(message.NameXRequestID)
			return append(dst, id...), set
		}
	case "UNIQUE_ID":
		return func(dst []byte, _ *accesslog.Entry) ([]byte, bool) { return appendUUID(dst), true }
	case "LOCAL_REPLY_BODY": // empty for access logs, in Envoy too
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) { return append(dst, e.LocalReplyBody...), true }
	case "ROUNDTRIP_DURATION", "TRACE_ID", "CUSTOM_FLAGS": // of QUIC, of tracing, of extensions
		return func(dst []byte, _ *accesslog.Entry) ([]byte, bool) { return dst, false }
	case "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW":
		return field(func(e *accesslog.Entry) string { return e.Cluster })
	case "HOSTNAME":
		return field(func(e *accesslog.Entry) string { return e.Hostname })
	case "ACCESS_LOG_TYPE":
		return field(func(e *accesslog.Entry) string { return e.Type.String() })
	case "RESPONSE_FLAGS":
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) { return appendFlags(dst, e, shortName), true }
	case "RESPONSE_FLAGS_LONG":
		return func(dst []byte, e *accesslog.Entry) ([]byte, bool) { return appendFlags(dst, e, longName), true }
	}
	return nil
}

// addressOperator makes o the operator of an address, with or without its port, or of the port alone.
func (o *operator) addressOperator(name string) bool {
	base, found := strings.CutSuffix(name, "_PORT")
	if found && !strings.HasSuffix(base, "_WITHOUT") {
		o.address = addressOf(base)
		address := o.address
		o.number = func(e *accesslog.Entry) (int64, bool) { a := address(e); return int64(a.Port()), a.IsValid() }
		return o.address != nil
	}
	if base, found = strings.CutSuffix(name, "_ADDRESS_WITHOUT_PORT"); found {
		o.address, o.value = addressOf(base), orPath(base, addressWithoutPort)
		return o.address != nil
	}
	if base, found = strings.CutSuffix(name, "_ADDRESS"); !found && name == "UPSTREAM_HOST" {
		base = "UPSTREAM_REMOTE"
	} else if !found {
		return false
	}
	o.address, o.value = addressOf(base), orPath(base, wholeAddress)
	return o.address != nil
}

func addressOf(base string) func(e *accesslog.Entry) netip.AddrPort {
	switch base {
	case "DOWNSTREAM_REMOTE":
		return func(e *accesslog.Entry) netip.AddrPort { return e.DownstreamRemote }
	case "DOWNSTREAM_DIRECT_REMOTE":
		return func(e *accesslog.Entry) netip.AddrPort { return e.DownstreamDirectRemote }
	case "DOWNSTREAM_LOCAL":
		return func(e *accesslog.Entry) netip.AddrPort { return e.DownstreamLocal }
	case "UPSTREAM_REMOTE":
		return func(e *accesslog.Entry) netip.AddrPort { return e.UpstreamRemote }
	}
	return nil
}

// orPath has the path of a Unix domain socket stand in place of an address, with a port or without.
func orPath(base string, value func(*operator, []byte, *accesslog.Entry) ([]byte, bool)) func(*operator, []byte, *accesslog.Entry) ([]byte, bool) {
	path := func(e *accesslog.Entry) string { return e.DownstreamPath }
	if base == "UPSTREAM_REMOTE" {
		path = func(e *accesslog.Entry) string { return e.UpstreamPath }
	}
	return func(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
		if !o.address(e).IsValid() && path(e) != "" {
			return append(dst, path(e)...), true
		}
		return value(o, dst, e)
	}
}

func wholeAddress(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	a := o.address(e)
	if !a.IsValid() {
		return dst, false
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).AppendTo(dst), true
}

func addressWithoutPort(o *operator, dst []byte, e *accesslog.Entry) ([]byte, bool) {
	a := o.address(e)
	if !a.IsValid() {
		return dst, false
	}
	return a.Addr().Unmap().AppendTo(dst), true
}
