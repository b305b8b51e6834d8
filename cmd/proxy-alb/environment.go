package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// environment is what the variables of the container say beside those of the bootstrap, which package bootstrap reads.
type environment struct {
	moduleID, moduleVersion string
	configPath              string
	listenPort              int
	grpc, metrics, health   config.Address
	grpcTLS, adminTLS       tls.Files // none named: plaintext
	adminReadOnly           bool
	maxConnectionAge        time.Duration
	shutdownTimeout         time.Duration
	reloadGrace             time.Duration
	logLevel                string
	noAcceptSteering        bool
}

// Defaults of the container.
const (
	defaultModuleID        = "alb-1"
	defaultModuleVersion   = "v1.0.0"
	defaultConfigPath      = "/etc/envoy/envoy.yaml"
	defaultAddress         = "0.0.0.0" // of every face: they serve all of the container's networks
	defaultListenPort      = 10000
	defaultGRPCPort        = 50051
	defaultMetricsPort     = 9090
	defaultHealthPort      = 8080
	defaultMaxConnAge      = 30 * time.Minute
	defaultShutdownTimeout = 30 * time.Second
	defaultReloadGrace     = 5 * time.Second
)

// readEnvironment reads the variables. The error has a line for each bad one.
func readEnvironment(getenv func(string) string) (*environment, error) {
	r := variables{getenv: getenv}
	e := &environment{
		moduleID:         r.text("MODULE_ID", defaultModuleID),
		moduleVersion:    r.text("VERSION", defaultModuleVersion),
		configPath:       r.text("ENVOY_CONFIG_PATH", defaultConfigPath),
		listenPort:       r.port("ENVOY_LISTEN_PORT", defaultListenPort),
		grpc:             r.address("GRPC_ADDRESS", "GRPC_PORT", defaultGRPCPort),
		metrics:          r.address("METRICS_ADDRESS", "METRICS_PORT", defaultMetricsPort),
		health:           r.address("HEALTH_ADDRESS", "HEALTH_PORT", defaultHealthPort),
		grpcTLS:          r.tlsFiles("GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CLIENT_CA"),
		adminTLS:         r.tlsFiles("ENVOY_ADMIN_TLS_CERT", "ENVOY_ADMIN_TLS_KEY", "ENVOY_ADMIN_TLS_CLIENT_CA"),
		adminReadOnly:    r.choice("ENVOY_ADMIN_READ_ONLY", "false", "true") == "true",
		maxConnectionAge: r.duration("GRPC_MAX_CONN_AGE", defaultMaxConnAge),
		shutdownTimeout:  r.duration("SHUTDOWN_TIMEOUT", defaultShutdownTimeout),
		reloadGrace:      r.duration("RELOAD_GRACE_PERIOD", defaultReloadGrace),
		logLevel:         r.text("LOG_LEVEL", ""),
		noAcceptSteering: r.choice("ALB_ACCEPT_STEERING", "auto", "off") == "off",
	}
	if e.logLevel == "" {
		e.logLevel = r.text("ENVOY_LOG_LEVEL", "info")
	}
	if _, err := parseLevel(e.logLevel); err != nil {
		r.fail("LOG_LEVEL", err.Error())
	}
	return e, errors.Join(r.errs...)
}

// variables reads environment variables and gathers what is wrong with them.
type variables struct {
	getenv func(string) string
	errs   []error
}

func (r *variables) fail(name, why string) {
	r.errs = append(r.errs, fmt.Errorf("environment variable %s: %s", name, why))
}

func (r *variables) text(name, byDefault string) string {
	if v := r.getenv(name); v != "" {
		return v
	}
	return byDefault
}

// tlsFiles reads the paths of PEM files. A certificate and its key go together, and a CA only with them: a variable that
// was forgotten must not leave a port open that was meant to be closed.
func (r *variables) tlsFiles(cert, key, clientCA string) tls.Files {
	f := tls.Files{Cert: r.getenv(cert), Key: r.getenv(key), ClientCA: r.getenv(clientCA)}
	switch {
	case f.Cert != "" && f.Key == "":
		r.fail(key, fmt.Sprintf("not set though %s is: want the file of the certificate's private key", cert))
	case f.Cert == "" && f.Key != "":
		r.fail(cert, fmt.Sprintf("not set though %s is: want the file of the key's certificate", key))
	case f.Cert == "" && f.ClientCA != "":
		r.fail(clientCA, fmt.Sprintf("set without %s and %s: client certificates need TLS, want all three", cert, key))
	}
	return f
}

// choice reads one of a few words. The first is the default.
func (r *variables) choice(name string, words ...string) string {
	v := r.text(name, words[0])
	if !slices.Contains(words, v) {
		r.fail(name, fmt.Sprintf("%q is not one of %s", v, strings.Join(words, ", ")))
		return words[0]
	}
	return v
}

// port reads a TCP port. 0 asks for any free one.
func (r *variables) port(name string, byDefault int) int {
	v := r.getenv(name)
	if v == "" {
		return byDefault
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 65535 {
		r.fail(name, fmt.Sprintf("%q is not a port (0-65535)", v))
		return byDefault
	}
	return n
}

// address reads where a face listens: an IP address, and a port.
func (r *variables) address(name, port string, byDefault int) config.Address {
	a := config.Address{IP: defaultAddress, Port: uint32(r.port(port, byDefault))}
	v := r.text(name, defaultAddress)
	if ip, err := netip.ParseAddr(v); err != nil {
		r.fail(name, fmt.Sprintf("%q is not an IP address, such as 127.0.0.1 or ::1", v))
	} else {
		a.IP = ip.String()
	}
	return a
}

// duration reads a time span with a unit; a bare number counts seconds.
func (r *variables) duration(name string, byDefault time.Duration) time.Duration {
	v := r.getenv(name)
	if v == "" {
		return byDefault
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		r.fail(name, fmt.Sprintf("%q is not a duration, such as 30s or 5m", v))
		return byDefault
	}
	return d
}
