package controlplane

import (
	"net/netip"
	"strconv"
	"strings"
)

// anyHost is the domain every request matches.
const anyHost = "*"

// hosts returns the route's hosts in the form in which they are compared: lower case, and anyHost for none.
func (r *Route) hosts() []string {
	if len(r.Hosts) == 0 {
		return []string{anyHost}
	}
	hosts := make([]string, len(r.Hosts))
	for i, host := range r.Hosts {
		hosts[i] = strings.ToLower(host)
	}
	return hosts
}

// isDNSName reports whether name is a host name: RFC 1123 section 2.1, and underscores, which private zones use. A name whose last label is a number would be
// taken for an IPv4 address by some resolvers and is refused.
func isDNSName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !isDNSRune(r) }) {
			return false
		}
		last = label
	}
	_, err := strconv.ParseUint(last, 0, 64)
	return err != nil
}

func isDNSRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// isDomain reports whether domain can be a virtual host's domain: "*", a name, an address, either with a port, or a pattern with one "*" at its beginning or
// end.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-virtualhost
func isDomain(domain string) bool {
	if domain == anyHost {
		return true
	}
	if domain == "" || len(domain) > maxHostBytes || strings.HasSuffix(domain, ":") {
		return false
	}
	pattern, wildBefore := strings.CutPrefix(domain, "*")
	pattern, wildAfter := strings.CutSuffix(pattern, "*")
	if wildBefore || wildAfter {
		return wildBefore != wildAfter && pattern != "" && isPatternText(pattern)
	}
	name, port := splitPort(domain)
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	if bracketed, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(bracketed, "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(bracketed, "]")
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4() || isDNSName(name)
}

// isPatternText reports whether text can be the literal part of a pattern: what names, addresses and ports are made of.
func isPatternText(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !isDNSRune(r) && r != '.' && r != ':' })
}

// splitPort cuts a port off host. The port is empty when there is none; the colons of a bracketed IPv6 address are not one.
func splitPort(host string) (name, port string) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:colon], host[colon+1:]
}

// domains returns what requests for host carry in their Host header, host first. A host without a port stands for that host on every port: on the listener's
// port by name, because an exact domain goes before another virtual host's "*." pattern, and on others, such as a mapped port, by pattern. A pattern at the
// beginning leaves no place for one at the end and knows the listener's port only.
func domains(host string, listenerPort uint16) []string {
	_, port := splitPort(host)
	if host == anyHost || strings.HasSuffix(host, "*") || port != "" {
		return []string{host}
	}
	onPort := host + ":" + strconv.Itoa(int(listenerPort))
	if strings.HasPrefix(host, "*") {
		return []string{host, onPort}
	}
	return []string{host, onPort, host + ":*"}
}
