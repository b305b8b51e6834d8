package proxy

import (
	"bytes"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// maxServerName is the length in bytes of the longest name of a host (RFC 1035 section 3.1).
const maxServerName = 253

// serverName returns the name by which a connection for the request is told from others, empty for none. ok is false when the
// cluster wants one that the request does not have.
func (x *exchange) serverName() (name []byte, ok bool) {
	auto := x.cluster.Config().AutoName
	if auto == nil {
		return nil, true
	}
	authority := x.request.Authority
	if x.authority != nil {
		authority = x.authority
	}
	start := len(x.arena)
	x.arena, ok = appendServerName(x.arena, auto, authority, &x.request.Fields)
	return x.added(start), ok
}

// appendServerName appends the name that a host is asked for in TLS (auto_sni), or that its certificate must be for
// (auto_san_validation), in lower case: the host of the request, or what a field says. Nothing is appended for a request without a
// name where none has to be verified. ok is false when it has none that could be asked for or verified.
func appendServerName(b []byte, auto *config.AutoName, authority []byte, fields *message.Fields) (grown []byte, ok bool) {
	if auto.Header != "" {
		value, times := fieldOnce(fields, auto.Header)
		if times > 1 {
			return b, false // which of them is meant, nobody knows
		}
		if len(value) > 0 {
			authority = value
		}
	}
	if len(authority) == 0 {
		return b, !auto.SAN
	}
	host, ok := message.AuthorityHost(authority)
	if !ok {
		return b, false
	}
	if len(host) > 1 {
		host = bytes.TrimSuffix(host, []byte(".")) // the root, which neither certificates nor SNI have (RFC 6066 section 3)
	}
	if len(host) > maxServerName {
		return b, false
	}
	if !auto.SAN && isAddress(host) {
		return b, true // which is no name (RFC 6066 section 3)
	}
	for _, c := range host {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b, true
}

// isAddress reports whether a host is an IP address. One without a colon ends in a digit, as few names do.
func isAddress(host []byte) bool {
	if last := host[len(host)-1]; (last < '0' || last > '9') && bytes.IndexByte(host, ':') < 0 {
		return false
	}
	_, err := netip.ParseAddr(string(host))
	return err == nil
}

// fieldOnce returns the value of a field, which may not be there, and how often it is there.
func fieldOnce(fields *message.Fields, name string) (value []byte, times int) {
	for i := range fields.All() {
		if f := &fields.All()[i]; string(f.Name) == name {
			value = f.Value
			times++
		}
	}
	return value, times
}
