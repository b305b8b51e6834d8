package resource

import (
	"math"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxCookieText bounds the length in bytes of each part of a cookie that is made: a client keeps no larger cookies than of
// 4096 bytes (RFC 6265 section 6.1).
const maxCookieText = 4096

var (
	hashPolicyFields = fields{
		"header": decoded, "cookie": decoded, "connection_properties": decoded, "query_parameter": decoded, "terminal": decoded,
	}
	hashHeaderFields          = fields{"header_name": decoded, "regex_rewrite": decoded}
	hashCookieFields          = fields{"name": decoded, "ttl": decoded, "path": decoded, "attributes": decoded}
	hashConnectionFields      = fields{"source_ip": decoded}
	hashQueryParameterFields  = fields{"name": decoded}
	hashCookieAttributeFields = fields{"name": decoded, "value": decoded}
)

// hashPolicies decodes hash_policy of a route, a cluster or a load balancing policy.
func (a *at) hashPolicies(list []*routev3.RouteAction_HashPolicy) []config.HashPolicy {
	if len(list) > config.MaxHashPolicies {
		a.in("hash_policy").errorf("has %d entries, at most %d are allowed", len(list), config.MaxHashPolicies)
		return nil
	}
	var out []config.HashPolicy
	for i, p := range list {
		place := a.item("hash_policy", i)
		place.only(p, hashPolicyFields)
		policy, ok := place.hashPolicy(p)
		if policy.Terminal = p.GetTerminal(); ok {
			out = append(out, policy)
		}
	}
	return out
}

// hashPolicy decodes one policy, and reports whether there is anything that it hashes.
func (a *at) hashPolicy(p *routev3.RouteAction_HashPolicy) (out config.HashPolicy, ok bool) {
	switch s := p.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		place := a.in("header")
		place.only(s.Header, hashHeaderFields)
		out.Kind, out.Name = config.HashHeader, place.in("header_name").hashedField(s.Header.GetHeaderName())
		out.Rewrite = place.in("regex_rewrite").regexRewrite(s.Header.GetRegexRewrite())
	case *routev3.RouteAction_HashPolicy_Cookie_:
		out.Kind, out.Name = config.HashCookie, s.Cookie.GetName()
		out.Cookie = a.in("cookie").hashedCookie(s.Cookie)
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		a.in("connection_properties").only(s.ConnectionProperties, hashConnectionFields)
		out.Kind, ok = config.HashSourceIP, s.ConnectionProperties.GetSourceIp()
		return out, ok
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		a.in("query_parameter").only(s.QueryParameter, hashQueryParameterFields)
		out.Kind, out.Name = config.HashQueryParameter, s.QueryParameter.GetName()
	default: // refused as a field
		return out, false
	}
	return out, true
}

// hashedField checks the name of a field, or of a part of the head.
func (a *at) hashedField(name string) string {
	if strings.HasPrefix(name, ":") {
		return strings.ToLower(name)
	}
	return a.fieldName(name)
}

// hashedCookie decodes how a cookie is made; without ttl none is.
func (a *at) hashedCookie(c *routev3.RouteAction_HashPolicy_Cookie) *config.HashedCookie {
	a.only(c, hashCookieFields)
	if c.GetTtl() == nil {
		return nil
	}
	if !isToken(c.GetName()) {
		a.in("name").errorf("%q must be a token to be set as a cookie (RFC 6265 section 4.1.1)", c.GetName())
	}
	out := &config.HashedCookie{
		TTL:  a.duration("ttl", c.GetTtl(), 0).Truncate(time.Second),
		Path: a.in("path").cookieText(c.GetPath()),
	}
	for i, attribute := range c.GetAttributes() {
		place := a.item("attributes", i)
		place.only(attribute, hashCookieAttributeFields)
		if !isToken(attribute.GetName()) {
			place.in("name").errorf("%q is not the name of an attribute", attribute.GetName())
		}
		out.Attributes = append(out.Attributes, config.CookieAttribute{
			Name: attribute.GetName(), Value: place.in("value").cookieText(attribute.GetValue()),
		})
	}
	return out
}

// cookieText checks the value of an attribute of a cookie: no control characters and no semicolon, which would begin another.
func (a *at) cookieText(text string) string {
	if len(text) > maxCookieText {
		a.errorf("is %d bytes long, at most %d are allowed", len(text), maxCookieText)
	}
	if strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c >= 0x7f || c == ';' }) >= 0 {
		a.errorf("%q must be of printable ASCII characters without a semicolon", text)
	}
	return text
}

// isPrime reports whether n is a prime number. It takes as many steps as the root of n.
func isPrime(n uint64) bool {
	if n < 2 || n > math.MaxUint32 {
		return false
	}
	for d := uint64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}
