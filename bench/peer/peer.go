// Package peer knows the proxies that the lab compares: where to find each, how
// to ask its version, and how to configure it so that all do the same work.
//
// The work: one listener, in cleartext or under TLS 1.3 with session tickets, one worker unless more are asked for, one route to one origin, keep-alive
// on both sides with an upstream pool that holds every connection in use, no access
// log, no compression. Each request gets x-forwarded-for, x-forwarded-proto and
// x-request-id, and what its Traffic asks for. Within that each is tuned as somebody
// who knows it well would.
package peer

import (
	"os"
	"path/filepath"
	"strings"
)

// Spec is the task that every proxy is configured for.
type Spec struct {
	// Listen is the address that takes the load, Origin that of the upstream:
	// host:port, IPv4 or bracketed IPv6.
	Listen, Origin string
	// ControlPlane is the address of an ADS server, for traffic that has one.
	ControlPlane string
	// Admin, GRPC, Metrics and Health are free addresses for a proxy that has
	// such listeners.
	Admin, GRPC, Metrics, Health string
	// Module is what Kind.Module found.
	Module string
	// Traffic is what the proxy carries.
	Traffic Traffic
	// Certificate and Key are PEM files for traffic under TLS. Key is Certificate with ".key" at its end: where HAProxy looks.
	Certificate, Key string
	// Workers is how many threads or processes carry the traffic; 0 is 1.
	Workers int
	// MaxConnections is the most client connections open at once, MaxRequests the
	// most requests in flight.
	MaxConnections, MaxRequests int
	// Dir is a directory of the proxy's own: its working directory and the place
	// of its files.
	Dir string
	// Root says that the lab runs as root, which some proxies must be told to stay.
	Root bool
}

// upstreamPool is how many idle upstream connections a proxy may keep that has to be
// told: several times what the task uses at once, so that none is ever closed.
func (s Spec) upstreamPool() int { return 4 * max(s.MaxRequests, 64) }

// workers is how many there are.
func (s Spec) workers() int { return max(1, s.Workers) }

// Launch is a configured proxy, ready to be started.
type Launch struct {
	// Files to write below Spec.Dir before the start, by relative path.
	Files map[string]string
	// Args of the command line.
	Args []string
	// Env is added to the lab's own environment; Unset is taken out of it.
	Env, Unset []string
	// Calls are made to Spec.GRPC once the proxy answers, for what cannot be in its configuration.
	Calls []Call
}

// Kind is a proxy that the lab can configure.
type Kind struct {
	Name string
	// Programs are the names it goes by on the PATH; without them it takes part only where its path is given.
	Programs []string
	// VersionArgs has it print its version.
	VersionArgs []string
	// Lacks says what the kind lacks to carry the traffic, as the rest of a sentence
	// that begins with its name; "" when it can.
	Lacks func(Traffic) string
	// Module returns the file that the program at a path loads to carry the traffic, "" where it needs none, and what this program
	// lacks of what the kind has, as Lacks does.
	Module func(program string, t Traffic) (path, lacks string)
	// Configure makes its configuration for a task, whose traffic it can carry.
	Configure func(Spec) (Launch, error)
}

// carriesAll is Kind.Lacks of a kind that lacks nothing.
func carriesAll(Traffic) string { return "" }

// Names of the kinds.
const (
	ProxyALB = "proxy-alb"
	Nginx    = "nginx"
	HAProxy  = "haproxy"
	Nghttpx  = "nghttpx"
	Caddy    = "caddy"
	Traefik  = "traefik"
)

// Kinds lists all kinds in the order in which they are measured and reported.
func Kinds() []Kind {
	return []Kind{
		{ProxyALB, []string{"proxy-alb"}, []string{"--version"}, carriesAll, noModule, configureProxyALB},
		{Nginx, []string{"nginx"}, []string{"-v"}, nginxLacks, nginxModule, configureNginx},
		{HAProxy, []string{"haproxy"}, []string{"-v"}, haproxyLacks, noModule, configureHAProxy},
		{Nghttpx, []string{"nghttpx"}, []string{"--version"}, nghttpxLacks, noModule, configureNghttpx},
		{Caddy, nil, []string{"version"}, caddyLacks, noModule, configureCaddy},
		{Traefik, nil, []string{"version"}, traefikLacks, noModule, configureTraefik},
	}
}

// Environ returns base changed as the launch asks.
func (l Launch) Environ(base []string) []string {
	drop := make(map[string]bool)
	for _, name := range l.Unset {
		drop[name] = true
	}
	for _, v := range l.Env {
		name, _, _ := strings.Cut(v, "=")
		drop[name] = true
	}
	var env []string
	for _, v := range base {
		if name, _, _ := strings.Cut(v, "="); !drop[name] {
			env = append(env, v)
		}
	}
	return append(env, l.Env...)
}

// Write writes the files of the launch below dir, which exists.
func (l Launch) Write(dir string) error {
	for name, text := range l.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
