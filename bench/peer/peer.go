// Package peer knows the proxies that the lab compares: where to find each, how
// to ask its version, and how to configure it so that all do the same work.
//
// The work: one plain-text HTTP/1.1 listener, one worker, one route to one origin,
// keep-alive on both sides with an upstream pool that holds every connection in
// use, no access log, no compression. Each request gets x-forwarded-for,
// x-forwarded-proto and x-request-id. Within that each is tuned as somebody who
// knows it well would.
package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Spec is the task that every proxy is configured for.
type Spec struct {
	// Listen is the address that takes the load, Origin that of the upstream:
	// host:port, IPv4 or bracketed IPv6.
	Listen, Origin string
	// Admin, GRPC, Metrics and Health are free addresses for a proxy that has
	// such listeners.
	Admin, GRPC, Metrics, Health string
	// MaxConnections is the most client connections open at once.
	MaxConnections int
	// Dir is a directory of the proxy's own: its working directory and the place
	// of its files.
	Dir string
	// Root says that the lab runs as root, which some proxies must be told to stay.
	Root bool
}

// UpstreamPool is the least number of idle upstream connections that each proxy may
// keep, several times what a scenario uses at once.
const UpstreamPool = 256

// Launch is a configured proxy, ready to be started.
type Launch struct {
	// Files to write below Spec.Dir before the start, by relative path.
	Files map[string]string
	// Args of the command line.
	Args []string
	// Env is added to the lab's own environment; Unset is taken out of it.
	Env, Unset []string
}

// Kind is a proxy that the lab can configure.
type Kind struct {
	Name string
	// Programs are the names it goes by on the PATH.
	Programs []string
	// VersionArgs has it print its version.
	VersionArgs []string
	// Configure makes its configuration for a task.
	Configure func(Spec) (Launch, error)
}

// Names of the kinds.
const (
	ProxyALB = "proxy-alb"
	Nginx    = "nginx"
	HAProxy  = "haproxy"
)

// Kinds lists all kinds in the order in which they are measured and reported.
func Kinds() []Kind {
	return []Kind{
		{ProxyALB, []string{"proxy-alb"}, []string{"--version"}, configureProxyALB},
		{Nginx, []string{"nginx"}, []string{"-v"}, configureNginx},
		{HAProxy, []string{"haproxy"}, []string{"-v"}, configureHAProxy},
	}
}

// sbin are the directories that hold servers but are often not on a user's PATH.
var sbin = [...]string{"/usr/sbin", "/usr/local/sbin", "/sbin"}

// Find returns the path of the kind's program: path when it is given, otherwise
// the first found on the PATH or in one of the sbin directories.
func (k Kind) Find(path string) (string, error) {
	if path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if err := executable(abs); err != nil {
			return "", fmt.Errorf("%s: %w", k.Name, err)
		}
		return abs, nil
	}
	for _, name := range k.Programs {
		if p, err := exec.LookPath(name); err == nil {
			return filepath.Abs(p)
		}
		for _, dir := range sbin {
			if p := filepath.Join(dir, name); executable(p) == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("%s: no %s on the PATH or in %s",
		k.Name, strings.Join(k.Programs, " or "), strings.Join(sbin[:], ", "))
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
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
