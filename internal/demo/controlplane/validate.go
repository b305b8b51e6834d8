package controlplane

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a configuration: far above what a demo needs, and low enough that one translation stays well under a second.
const (
	maxServices     = 1000
	maxRoutes       = 10_000
	maxCertificates = 100
	// maxHosts bounds the hosts of one service and of one route.
	maxHosts = 256
	// maxNameBytes bounds names, which become part of every statistic's name.
	maxNameBytes = 255
	// maxPathBytes bounds prefixes and health check paths: no request line that the proxy accepts is longer.
	maxPathBytes = 8192
	// maxHostBytes is the longest DNS name, RFC 1035 section 2.3.4, with room for a port.
	maxHostBytes = 255 + len(":65535")
	// maxTimeoutSeconds bounds timeouts at a day: more is a mistake in the unit.
	maxTimeoutSeconds = 24 * 60 * 60
)

// protocols are the values of Service.Protocol.
func protocols() []string { return []string{"http", "https", "http2", "grpc", "websocket"} }

// Validate reports the first thing that is not valid as a *FieldError.
func (c *Config) Validate() error {
	if err := c.validateCounts(); err != nil {
		return err
	}
	certificates, err := c.validateCertificates()
	if err != nil {
		return err
	}
	services := make(map[string]int, len(c.Services))
	for i := range c.Services {
		path := fmt.Sprintf("services[%d]", i)
		service := &c.Services[i]
		if err := checkName(path, "services", service.Name, i, services); err != nil {
			return err
		}
		if err := service.validate(path, certificates); err != nil {
			return err
		}
	}
	return c.validateRoutes(services)
}

func (c *Config) validateCounts() error {
	if len(c.Version) > maxNameBytes {
		return fieldErrorf("version", "%d bytes long, more than %d", len(c.Version), maxNameBytes)
	}
	if err := checkCount("services", len(c.Services), maxServices); err != nil {
		return err
	}
	if err := checkCount("routes", len(c.Routes), maxRoutes); err != nil {
		return err
	}
	return checkCount("certificates", len(c.Certificates), maxCertificates)
}

func (s *Service) validate(path string, certificates map[string]*Certificate) error {
	if s.Protocol != "" && !slices.Contains(protocols(), s.Protocol) {
		return fieldErrorf(path+".protocol", "%q is not one of %s", s.Protocol, strings.Join(protocols(), ", "))
	}
	if s.Port < 1 || s.Port > 65535 {
		return fieldErrorf(path+".port", "%d is not a port (1-65535)", s.Port)
	}
	if err := checkSeconds(path+".timeout_seconds", s.TimeoutSeconds); err != nil {
		return err
	}
	if s.HealthCheckPath != "" {
		if err := checkPath(path+".health_check_path", s.HealthCheckPath); err != nil {
			return err
		}
	}
	if err := s.validateHosts(path + ".hosts"); err != nil {
		return err
	}
	return s.validateTLS(path, certificates)
}

func (s *Service) validateHosts(path string) error {
	if len(s.Hosts) == 0 {
		return fieldErrorf(path, "at least one IP address or DNS name is needed")
	}
	if err := checkCount(path, len(s.Hosts), maxHosts); err != nil {
		return err
	}
	for i, host := range s.Hosts {
		at := fmt.Sprintf("%s[%d]", path, i)
		if addr, err := netip.ParseAddr(host); err == nil {
			if addr.Zone() != "" {
				return fieldErrorf(at, "%q has a zone, which an endpoint cannot have", host)
			}
			continue
		}
		if !isDNSName(host) {
			return fieldErrorf(at, "%q is neither an IP address nor a DNS name (the port goes in port)", host)
		}
	}
	return nil
}

func (s *Service) validateTLS(path string, certificates map[string]*Certificate) error {
	if s.TLSVerify && !s.usesTLS() {
		return fieldErrorf(path+".tls_verify", "true, but tls_enabled is false")
	}
	if s.TLSCertName == "" {
		return nil
	}
	certificate, ok := certificates[s.TLSCertName]
	if !ok {
		return fieldErrorf(path+".tls_cert_name", "%q is not the name of a certificate", s.TLSCertName)
	}
	if s.TLSVerify && certificate.CACert == "" {
		return fieldErrorf(path+".tls_cert_name", "certificate %q has no ca_cert to verify the service with", s.TLSCertName)
	}
	return nil
}

func (c *Config) validateRoutes(services map[string]int) error {
	names := make(map[string]int, len(c.Routes))
	taken := make(map[[2]string]int, len(c.Routes)) // host and prefix -> index of the route
	for i := range c.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		route := &c.Routes[i]
		if err := checkName(path, "routes", route.Name, i, names); err != nil {
			return err
		}
		if err := route.validate(path, services); err != nil {
			return err
		}
		for _, host := range route.hosts() {
			if other, ok := taken[[2]string{host, route.Prefix}]; ok {
				return fieldErrorf(path+".prefix", "%q on host %q is routes[%d] already, which would take every request", route.Prefix, host, other)
			}
			taken[[2]string{host, route.Prefix}] = i
		}
	}
	return nil
}

func (r *Route) validate(path string, services map[string]int) error {
	if err := checkPath(path+".prefix", r.Prefix); err != nil {
		return err
	}
	if r.ClusterName == "" {
		return fieldErrorf(path+".cluster_name", "missing: the name of a service is needed")
	}
	if _, ok := services[r.ClusterName]; !ok {
		return fieldErrorf(path+".cluster_name", "%q is not the name of a service", r.ClusterName)
	}
	if err := checkSeconds(path+".timeout", r.Timeout); err != nil {
		return err
	}
	if err := checkCount(path+".hosts", len(r.Hosts), maxHosts); err != nil {
		return err
	}
	seen := make(map[string]bool, len(r.Hosts))
	for i, host := range r.hosts() {
		at := fmt.Sprintf("%s.hosts[%d]", path, i)
		if !isDomain(host) {
			return fieldErrorf(at, "%q is not a host name, with or without a port, nor a pattern that begins or ends with %q", host, "*")
		}
		if seen[host] {
			return fieldErrorf(at, "%q occurs twice", host)
		}
		seen[host] = true
	}
	return nil
}

// checkName refuses a missing, overlong or repeated name, and records it in seen.
func checkName(path, list, name string, index int, seen map[string]int) error {
	path += ".name"
	if name == "" {
		return fieldErrorf(path, "missing")
	}
	if len(name) > maxNameBytes {
		return fieldErrorf(path, "%d bytes long, more than %d", len(name), maxNameBytes)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fieldErrorf(path, "%q has a blank, a control character or bytes that are not UTF-8", name)
	}
	if other, ok := seen[name]; ok {
		return fieldErrorf(path, "%q is the name of %s[%d] already", name, list, other)
	}
	seen[name] = index
	return nil
}

// checkPath accepts what can begin a request's path: an absolute path without query and fragment, RFC 3986 section 3.3.
func checkPath(path, value string) error {
	switch {
	case !strings.HasPrefix(value, "/"):
		return fieldErrorf(path, "%q does not begin with %q", value, "/")
	case len(value) > maxPathBytes:
		return fieldErrorf(path, "%d bytes long, more than %d", len(value), maxPathBytes)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '?' || r == '#' }):
		return fieldErrorf(path, "%q has a character that cannot be in a path (percent-encode it)", value)
	}
	return nil
}

func checkSeconds(path string, seconds int) error {
	if seconds < 0 || seconds > maxTimeoutSeconds {
		return fieldErrorf(path, "%d is not a number of seconds from 0 to %d", seconds, maxTimeoutSeconds)
	}
	return nil
}

func checkCount(path string, count, limit int) error {
	if count > limit {
		return fieldErrorf(path, "%d entries, more than %d", count, limit)
	}
	return nil
}
