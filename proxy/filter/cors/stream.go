package cors

import (
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// The fields of the protocol. They are never written.
var (
	nameOrigin         = []byte("origin")
	nameRequestMethod  = []byte("access-control-request-method")
	nameRequestHeaders = []byte("access-control-request-headers")
	nameRequestPrivate = []byte("access-control-request-private-network")

	nameAllowOrigin      = []byte("access-control-allow-origin")
	nameAllowCredentials = []byte("access-control-allow-credentials")
	nameAllowMethods     = []byte("access-control-allow-methods")
	nameAllowHeaders     = []byte("access-control-allow-headers")
	nameAllowPrivate     = []byte("access-control-allow-private-network")
	nameExposeHeaders    = []byte("access-control-expose-headers")
	nameMaxAge           = []byte("access-control-max-age")

	valueTrue = []byte("true")
)

// Details are the response code details of an answer to a preflight request.
const Details = "cors_response"

// Stream is the filter at work on one request. It can be used for one after the other.
type Stream struct {
	levels levels
	origin []byte // of the request, nil when it is not allowed
	fields message.Fields
}

// Open readies s for a request whose route has policies, the most specific one first, and counts its origin. It reports whether
// there is anything to do; random decides on shares of requests.
func (s *Stream) Open(req *message.Request, policies []any, random uint64, count *stats.Block) bool {
	if len(policies) == 0 {
		return false
	}
	for _, p := range policies {
		if _, ok := p.(*Policy); !ok {
			return false // the configuration of another filter
		}
	}
	first := policies[0].(*Policy)
	enabled, shadow := falls(random, first.enabled), falls(random, first.shadow)
	if !enabled && !shadow {
		return false
	}
	origin, _ := req.Fields.GetName(nameOrigin)
	if len(origin) == 0 {
		return false
	}
	s.levels = policies
	if s.levels.allows(origin) {
		count.Inc(stats.CORSOriginValid)
		s.origin = origin
	} else {
		count.Inc(stats.CORSOriginInvalid)
	}
	return enabled
}

// falls reports whether a request is one of a share.
func falls(random uint64, share uint32) bool { return random%fractionAll < uint64(share) }

const fractionAll = 1_000_000

// Close lets go of the request.
func (s *Stream) Close() {
	s.levels, s.origin = nil, nil
	s.fields.Reset()
}

// Preflight returns the fields of the answer to a request that asks what may be asked for, and false for any other one.
func (s *Stream) Preflight(req *message.Request) (fields *message.Fields, is bool) {
	if string(req.Method) != "OPTIONS" {
		return nil, false
	}
	method, _ := req.Fields.GetName(nameRequestMethod)
	if len(method) == 0 || s.origin == nil && s.levels.flag(forwardPreflights, true) {
		return nil, false
	}
	if s.origin != nil {
		s.fields.SetName(nameAllowOrigin, s.origin)
	}
	if s.levels.flag(allowCredentials, false) {
		s.fields.SetName(nameAllowCredentials, valueTrue)
	}
	s.list(nameAllowMethods, s.levels.text(allowMethods), method)
	asked, _ := req.Fields.GetName(nameRequestHeaders)
	s.list(nameAllowHeaders, s.levels.text(allowHeaders), asked)
	if age := s.levels.text(maxAge); age != "" {
		s.fields.SetName(nameMaxAge, bytesOf(age))
	}
	private, _ := req.Fields.GetName(nameRequestPrivate)
	if s.levels.flag(privateNetwork, false) && string(private) == "true" {
		s.fields.SetName(nameAllowPrivate, valueTrue)
	}
	return &s.fields, true
}

// list adds a list of what is allowed; "*" is what is asked for.
func (s *Stream) list(name []byte, allowed string, asked []byte) {
	switch allowed {
	case "":
	case "*":
		s.fields.SetName(name, asked)
	default:
		s.fields.SetName(name, bytesOf(allowed))
	}
}

// ResponseHead marks a response to a request from an origin that is allowed.
func (s *Stream) ResponseHead(resp *message.Response) {
	if s.origin == nil {
		return
	}
	resp.Fields.SetName(nameAllowOrigin, s.origin)
	if s.levels.flag(allowCredentials, false) {
		resp.Fields.SetName(nameAllowCredentials, valueTrue)
	}
	if exposed := s.levels.text(exposeHeaders); exposed != "" {
		resp.Fields.SetName(nameExposeHeaders, bytesOf(exposed))
	}
}

// bytesOf returns the bytes of a text of the configuration, which are never written to: a copy per request is the alternative.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
