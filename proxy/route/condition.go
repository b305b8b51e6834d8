package route

import (
	"bytes"
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// head is what conditions look at.
type head struct {
	request *message.Request
	query   []byte // without "?"
	random  uint64
	client  Client
}

// conditions are what a route asks beside the path. All must hold.
type conditions struct {
	none     bool // nothing is asked
	never    bool // something is asked that no request fulfils
	grpc     bool
	fraction uint32 // in parts of a million
	headers  []headerMatcher
	query    []queryMatcher
	cookies  []cookieMatcher

	presented, validated *bool // of the client's certificate; nil where it does not matter
}

func compileConditions(m *config.RouteMatch, fraction uint32) (conditions, error) {
	c := conditions{
		grpc: m.GRPC, fraction: fraction, never: m.Never, presented: m.CertificatePresented, validated: m.CertificateValidated,
	}
	for i := range m.Headers {
		matcher, err := compileHeader(&m.Headers[i])
		if err != nil {
			return c, fmt.Errorf("header %q: %w", m.Headers[i].Name, err)
		}
		c.headers = append(c.headers, matcher)
	}
	for i := range m.Query {
		q := &m.Query[i]
		value, err := CompileString(&q.String)
		if err != nil {
			return c, fmt.Errorf("query parameter %q: %w", q.Name, err)
		}
		c.query = append(c.query, queryMatcher{name: q.Name, present: q.Present, value: value})
	}
	for i := range m.Cookies {
		value, err := CompileString(&m.Cookies[i].String)
		if err != nil {
			return c, fmt.Errorf("cookie %q: %w", m.Cookies[i].Name, err)
		}
		c.cookies = append(c.cookies, cookieMatcher{name: m.Cookies[i].Name, value: value, invert: m.Cookies[i].Invert})
	}
	c.none = !c.never && c.presented == nil && c.validated == nil && len(c.cookies) == 0 && !c.grpc &&
		c.fraction >= config.FractionAll && len(c.headers) == 0 && len(c.query) == 0
	return c, nil
}

func (c *conditions) match(h *head) bool {
	return c.none || c.matchAll(h)
}

// matchAll asks from cheap to dear.
func (c *conditions) matchAll(h *head) bool {
	if c.never || c.fraction < config.FractionAll && h.random%config.FractionAll >= uint64(c.fraction) {
		return false
	}
	if c.presented != nil && *c.presented != h.client.Presented || c.validated != nil && *c.validated != h.client.Validated {
		return false
	}
	if c.grpc && !isGRPC(&h.request.Fields) {
		return false
	}
	for i := range c.headers {
		if !c.headers[i].match(h.request) {
			return false
		}
	}
	for i := range c.query {
		if !c.query[i].match(h.query) {
			return false
		}
	}
	for i := range c.cookies {
		if !c.cookies[i].match(&h.request.Fields) {
			return false
		}
	}
	return true
}

// isGRPC reports whether the content type is application/grpc or application/grpc+something. grpc-web is not gRPC.
func isGRPC(fields *message.Fields) bool {
	const grpc = "application/grpc"
	value, _ := fields.Get(message.NameContentType)
	return hasPrefix(value, grpc, false) && (len(value) == len(grpc) || value[len(grpc)] == '+')
}

// queryMatcher asks for a parameter of the query.
type queryMatcher struct {
	name    string
	present *bool // nil when value is asked
	value   StringMatcher
}

func (m *queryMatcher) match(query []byte) bool {
	value, found := queryValue(query, m.name)
	if m.present != nil {
		return found == *m.present
	}
	return found && m.value.Match(value)
}

// queryValue returns the first value of a query parameter, empty for one without "=". Like Envoy it decodes neither
// names nor values.
func queryValue(query []byte, name string) (value []byte, found bool) {
	for len(query) > 0 {
		var parameter []byte
		parameter, query, _ = bytes.Cut(query, []byte{'&'})
		if !hasPrefix(parameter, name, false) {
			continue
		}
		switch rest := parameter[len(name):]; {
		case len(rest) == 0:
			return nil, true
		case rest[0] == '=':
			return rest[1:], true
		}
	}
	return nil, false
}
