package admin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkOrigin returns an error unless a mutating request may be what its sender meant. The interface has no login, so that
// any page open in the browser of somebody who can reach it could post to it. A browser says where a request comes from:
//
//   - sec-fetch-site (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header) must be same-origin or none;
//   - origin (https://fetch.spec.whatwg.org/#origin-header) must name the host of the request;
//   - that host must be an IP address or localhost: the owner of any other name can point it to our address, and his pages
//     are of our origin then (DNS rebinding).
//
// Requests without either field do not come from a browser and are let through.
func checkOrigin(h *fasthttp.RequestHeader) error {
	site, origin := string(h.Peek("Sec-Fetch-Site")), string(h.Peek(fasthttp.HeaderOrigin))
	if site == "" && origin == "" {
		return nil
	}
	if site != "" && site != "same-origin" && site != "none" {
		return fmt.Errorf("cross-origin request refused: sec-fetch-site is %q, want same-origin or none", site)
	}
	host := string(h.Host())
	if origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, host) {
			return fmt.Errorf("cross-origin request refused: origin %q is not of host %q", origin, host)
		}
	}
	if !isLocalName(host) {
		return errors.New("request of a browser refused: host is a name that anybody could have pointed here; " +
			"use an IP address or localhost")
	}
	return nil
}

// isLocalName reports whether host, with or without a port, is an IP address or a name that only means this machine (RFC
// 6761, section 6.3).
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
