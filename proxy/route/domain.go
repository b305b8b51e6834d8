package route

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// hostBuffer is the length in bytes up to which a host with upper-case letters is lowered without allocating: the
// longest DNS name (253), and a port.
const hostBuffer = 264

// domainIndex finds the virtual host of a host, in Envoy's order: the whole host, the longest "*suffix", the longest
// "prefix*", "*". A wildcard stands for at least one byte. "host:*" is a prefix like others: host with any port.
type domainIndex struct {
	exact      map[string]*VirtualHost
	suffixes   []wildcards // longest first
	prefixes   []wildcards // longest first
	fallback   *VirtualHost
	ignorePort bool
}

// wildcards are the wildcard domains of one length, without the asterisk. Looking up one length after the other costs as
// many lookups as there are different lengths, however many domains there are.
type wildcards struct {
	length int
	hosts  map[string]*VirtualHost
}

func newDomainIndex(hosts []*VirtualHost, ignorePort bool) (domainIndex, error) {
	x := domainIndex{exact: make(map[string]*VirtualHost), ignorePort: ignorePort}
	for _, vh := range hosts {
		for _, domain := range vh.Config.Domains {
			domain = strings.ToLower(domain)
			if other := x.add(domain, vh); other != nil {
				return x, fmt.Errorf("domain %q is in virtual host %q and in virtual host %q, want it in one only",
					domain, other.Name, vh.Name)
			}
		}
	}
	longestFirst := func(a, b wildcards) int { return b.length - a.length }
	slices.SortFunc(x.suffixes, longestFirst)
	slices.SortFunc(x.prefixes, longestFirst)
	return x, nil
}

// add enters a domain and returns the virtual host that has it already, if any.
func (x *domainIndex) add(domain string, vh *VirtualHost) (taken *VirtualHost) {
	if domain == "*" {
		taken, x.fallback = x.fallback, vh
		return taken
	}
	names := x.exact
	if suffix, ok := strings.CutPrefix(domain, "*"); ok {
		domain, names = suffix, ofLength(&x.suffixes, len(suffix))
	} else if prefix, ok := strings.CutSuffix(domain, "*"); ok {
		domain, names = prefix, ofLength(&x.prefixes, len(prefix))
	}
	taken = names[domain]
	names[domain] = vh
	return taken
}

// ofLength returns the map for domains of a length, which it adds to all when there is none.
func ofLength(all *[]wildcards, length int) map[string]*VirtualHost {
	for _, w := range *all {
		if w.length == length {
			return w.hosts
		}
	}
	hosts := make(map[string]*VirtualHost)
	*all = append(*all, wildcards{length: length, hosts: hosts})
	return hosts
}

// lookup returns the virtual host of a host, nil when there is none.
func (x *domainIndex) lookup(host []byte) *VirtualHost {
	if len(x.exact) == 0 && len(x.suffixes) == 0 && len(x.prefixes) == 0 {
		return x.fallback
	}
	if x.ignorePort {
		host = withoutPort(host)
	}
	if hasUpper(host) {
		var buffer [hostBuffer]byte
		host = appendLower(buffer[:0], host)
	}
	if vh, ok := x.exact[string(host)]; ok {
		return vh
	}
	for i := range x.suffixes {
		if n := x.suffixes[i].length; n < len(host) {
			if vh, ok := x.suffixes[i].hosts[string(host[len(host)-n:])]; ok {
				return vh
			}
		}
	}
	for i := range x.prefixes {
		if n := x.prefixes[i].length; n < len(host) {
			if vh, ok := x.prefixes[i].hosts[string(host[:n])]; ok {
				return vh
			}
		}
	}
	return x.fallback
}

// portStart returns the position of the colon before the port of a host, -1 when it has none. The colons of an IPv6
// address are inside brackets (RFC 3986 section 3.2.2).
func portStart(host []byte) int {
	colon := bytes.LastIndexByte(host, ':')
	if colon >= 0 && bytes.LastIndexByte(host, ']') > colon {
		return -1
	}
	return colon
}

func withoutPort(host []byte) []byte {
	if colon := portStart(host); colon >= 0 {
		return host[:colon]
	}
	return host
}

func hasUpper(s []byte) bool {
	for _, b := range s {
		if 'A' <= b && b <= 'Z' {
			return true
		}
	}
	return false
}

// lower returns the ASCII lower case of b.
func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + ('a' - 'A')
	}
	return b
}

func appendLower(dst, s []byte) []byte {
	for _, b := range s {
		dst = append(dst, lower(b))
	}
	return dst
}
