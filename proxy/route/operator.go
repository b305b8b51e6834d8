package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	syntax "github.com/penguintechinc/marchproxy-alb/proxy/format"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// MutationContext is what the command operators of added fields read. What is left out reads as empty. All of it is
// borrowed for the call.
type MutationContext struct {
	Request  *message.Request
	Response *message.Response // nil in MutateRequest

	DownstreamRemote       netip.AddrPort // the client, as x-forwarded-for or the PROXY protocol tell
	DownstreamDirectRemote netip.AddrPort // the peer of the connection
	DownstreamLocal        netip.AddrPort
	DownstreamPath         string // of the Unix domain socket of the client, in place of those of the three that are not valid
	UpstreamRemote         netip.AddrPort
	UpstreamPath           string // of a host on a Unix domain socket, in place of UpstreamRemote
	UpstreamLocal          netip.AddrPort

	DownstreamTLSVersion string // "TLSv1.3"
	DownstreamTLSCipher  string
	RequestedServerName  string // SNI

	StartTime time.Time // when the request began
	Hostname  string    // of this machine
}

// operatorKind is a command operator.
type operatorKind uint8

const (
	opLiteral operatorKind = iota
	opRequestField
	opResponseField
	opQueryParameter
	opProtocol
	opResponseCode
	opAddress
	opAddressWithoutPort
	opPort
	opTLSVersion
	opTLSCipher
	opServerName
	opStartTime
	opHostname
	opRouteName
	opVirtualHostName
	opUpstreamCluster
)

// connectionEnd is one of the addresses in MutationContext.
type connectionEnd uint8

const (
	downstreamRemote connectionEnd = iota
	downstreamDirectRemote
	downstreamLocal
	upstreamRemote
	upstreamLocal
)

// operator is one part of a format.
type operator struct {
	kind      operatorKind
	end       connectionEnd // opAddress, opAddressWithoutPort, opPort
	maxLength int           // in bytes, 0 for none
	literal   []byte
	parameter string // opQueryParameter
	field     requestField
	instead   requestField // asked when field is absent; no name for none
	time      syntax.Time  // opStartTime
}

func newOperator(name, arguments string) (operator, error) {
	op := operator{}
	switch name {
	case "REQ", "RESP":
		op.kind = opRequestField
		if name == "RESP" {
			op.kind = opResponseField
		}
		field, instead, found := strings.Cut(arguments, "?")
		if field == "" || found && instead == "" {
			return op, errors.New("a header name is missing, want (NAME) or (NAME?OTHER)")
		}
		op.field = newRequestField(field)
		if found {
			op.instead = newRequestField(instead)
		}
		return op, nil
	case "QUERY_PARAM":
		op.kind, op.parameter = opQueryParameter, arguments
		if arguments == "" {
			return op, errors.New("the name of a query parameter is missing, want (NAME)")
		}
		return op, nil
	case "START_TIME":
		op.kind = opStartTime
		var err error
		op.time, err = syntax.ParseTime(arguments)
		return op, err
	}
	if arguments != "" {
		return op, fmt.Errorf("it takes no arguments, or is not one that header values can hold: (%s)", arguments)
	}
	var ok bool
	if op.kind, ok = plainOperator(name); ok {
		return op, nil
	}
	if op.kind, op.end, ok = addressOperator(name); ok {
		return op, nil
	}
	return op, errors.New("it is not one that header values can hold")
}

func plainOperator(name string) (operatorKind, bool) {
	switch name {
	case "PROTOCOL":
		return opProtocol, true
	case "RESPONSE_CODE":
		return opResponseCode, true
	case "DOWNSTREAM_TLS_VERSION":
		return opTLSVersion, true
	case "DOWNSTREAM_TLS_CIPHER":
		return opTLSCipher, true
	case "REQUESTED_SERVER_NAME":
		return opServerName, true
	case "HOSTNAME":
		return opHostname, true
	case "ROUTE_NAME":
		return opRouteName, true
	case "VIRTUAL_HOST_NAME":
		return opVirtualHostName, true
	case "UPSTREAM_CLUSTER":
		return opUpstreamCluster, true
	default:
		return 0, false
	}
}

func addressOperator(name string) (kind operatorKind, end connectionEnd, ok bool) {
	if name == "UPSTREAM_HOST" {
		return opAddress, upstreamRemote, true
	}
	kind = opAddress
	base, ok := strings.CutSuffix(name, "_ADDRESS")
	if !ok {
		kind = opAddressWithoutPort
		base, ok = strings.CutSuffix(name, "_ADDRESS_WITHOUT_PORT")
	}
	if !ok {
		kind = opPort
		base, ok = strings.CutSuffix(name, "_PORT")
	}
	if !ok {
		return 0, 0, false
	}
	switch base {
	case "DOWNSTREAM_REMOTE":
		return kind, downstreamRemote, true
	case "DOWNSTREAM_DIRECT_REMOTE":
		return kind, downstreamDirectRemote, true
	case "DOWNSTREAM_LOCAL":
		return kind, downstreamLocal, true
	case "UPSTREAM_REMOTE":
		return kind, upstreamRemote, true
	case "UPSTREAM_LOCAL":
		return kind, upstreamLocal, true
	default:
		return 0, 0, false
	}
}

// append appends the value of the operator, cut to its maximum length.
func (o *operator) append(dst []byte, m *mutationRun) []byte {
	start := len(dst)
	dst = o.appendWhole(dst, m)
	if o.maxLength > 0 && len(dst)-start > o.maxLength {
		return dst[:start+o.maxLength]
	}
	return dst
}

func (o *operator) appendWhole(dst []byte, m *mutationRun) []byte {
	ctx := m.ctx
	switch o.kind {
	case opLiteral:
		return append(dst, o.literal...)
	case opRequestField:
		return append(dst, o.requestValue(ctx.Request)...)
	case opResponseField:
		return append(dst, o.responseValue(ctx.Response)...)
	case opQueryParameter:
		_, query := splitTarget(ctx.Request.Path)
		value, _ := queryValue(query, o.parameter)
		return append(dst, value...)
	case opProtocol:
		return append(dst, ctx.Request.Version.String()...)
	case opResponseCode:
		if ctx.Response == nil {
			return dst
		}
		return strconv.AppendInt(dst, int64(ctx.Response.Status), 10)
	case opAddress, opAddressWithoutPort, opPort:
		address := ctx.address(o.end)
		if o.kind != opPort && !address.IsValid() {
			return append(dst, ctx.path(o.end)...)
		}
		return o.appendAddress(dst, address)
	case opTLSVersion:
		return append(dst, ctx.DownstreamTLSVersion...)
	case opTLSCipher:
		return append(dst, ctx.DownstreamTLSCipher...)
	case opServerName:
		return append(dst, ctx.RequestedServerName...)
	case opStartTime:
		return o.time.Append(dst, ctx.StartTime)
	case opHostname:
		return append(dst, ctx.Hostname...)
	case opRouteName:
		if m.route == nil {
			return dst
		}
		return append(dst, m.route.Name...)
	case opVirtualHostName:
		if m.route == nil {
			return dst
		}
		return append(dst, m.route.VirtualHost.Name...)
	case opUpstreamCluster:
		if m.target == nil {
			return dst
		}
		return append(dst, m.target.Name...)
	default:
		return dst
	}
}

func (o *operator) requestValue(r *message.Request) []byte {
	if r == nil {
		return nil
	}
	value, count := o.field.values(r)
	if count == 0 && o.instead.name != nil {
		value, _ = o.instead.values(r)
	}
	return value
}

func (o *operator) responseValue(r *message.Response) []byte {
	if r == nil {
		return nil
	}
	value, count := o.field.fieldName.values(&r.Fields)
	if count == 0 && o.instead.name != nil {
		value, _ = o.instead.fieldName.values(&r.Fields)
	}
	return value
}

func (c *MutationContext) address(end connectionEnd) netip.AddrPort {
	switch end {
	case downstreamRemote:
		return c.DownstreamRemote
	case downstreamDirectRemote:
		return c.DownstreamDirectRemote
	case downstreamLocal:
		return c.DownstreamLocal
	case upstreamRemote:
		return c.UpstreamRemote
	default:
		return c.UpstreamLocal
	}
}

// path returns the path of the Unix domain socket that an end is on which has no address, "" where there is none.
func (c *MutationContext) path(end connectionEnd) string {
	switch end {
	case upstreamRemote:
		return c.UpstreamPath
	case upstreamLocal:
		return ""
	default:
		return c.DownstreamPath
	}
}

// appendAddress appends an address as Envoy prints it: "1.2.3.4:80", "[::1]:80", and without port "::1".
func (o *operator) appendAddress(dst []byte, address netip.AddrPort) []byte {
	if !address.IsValid() {
		return dst
	}
	ip := address.Addr().Unmap()
	switch o.kind {
	case opAddress:
		return netip.AddrPortFrom(ip, address.Port()).AppendTo(dst)
	case opPort:
		return strconv.AppendUint(dst, uint64(address.Port()), 10)
	default:
		return ip.AppendTo(dst)
	}
}
