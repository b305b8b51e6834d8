package main

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/demo/controlplane"
)

const (
	defaultReadyTimeout = 15 * time.Second
	defaultGrace        = 10 * time.Second
	// logToStderr as the path of the proxy's log leaves it on the terminal.
	logToStderr = "-"
)

// options is the command line of the demo.
type options struct {
	proxy        string
	proxyLog     string
	adsAddr      string
	apiAddr      string
	blueAddr     string
	greenAddr    string
	ports        []port
	readyTimeout time.Duration
	grace        time.Duration
}

// port is one the proxy listens on.
type port struct {
	name   string // in flags and messages
	env    string // variable the proxy takes it from
	number uint
}

// Indexes into options.ports.
const (
	trafficPort = iota
	adminPort
	grpcPort
	metricsPort
	healthPort
)

// defaultPorts are the proxy's own defaults.
func defaultPorts() []port {
	return []port{
		trafficPort: {"traffic", "ENVOY_LISTEN_PORT", controlplane.DefaultListenerPort},
		adminPort:   {"admin", "ENVOY_ADMIN_PORT", 9901},
		grpcPort:    {"grpc", "GRPC_PORT", 50051},
		metricsPort: {"metrics", "METRICS_PORT", 9090},
		healthPort:  {"health", "HEALTH_PORT", 8080},
	}
}

// local returns the address of one of the proxy's ports on this machine.
func (o *options) local(index int) string {
	return fmt.Sprintf("127.0.0.1:%d", o.ports[index].number)
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	opts := &options{ports: defaultPorts()}
	flags := flag.NewFlagSet("alb-demo", flag.ContinueOnError)
	flags.StringVar(&opts.proxy, "proxy", "bin/proxy-alb", "`path` of the proxy's binary")
	flags.StringVar(&opts.proxyLog, "proxy-log", "", "`path` of the file for the proxy's log, or - for this terminal (default a new file, its path is printed)")
	flags.StringVar(&opts.adsAddr, "ads-addr", controlplane.DefaultADSAddr, "`address` of the control plane's ADS")
	flags.StringVar(&opts.apiAddr, "api-addr", controlplane.DefaultHTTPAddr, "`address` of the control plane's HTTP API")
	flags.StringVar(&opts.blueAddr, "blue-addr", "127.0.0.1:18081", "`address` of the origin blue, with an IP address")
	flags.StringVar(&opts.greenAddr, "green-addr", "127.0.0.1:18082", "`address` of the origin green, with an IP address")
	for i := range opts.ports {
		p := &opts.ports[i]
		flags.UintVar(&p.number, p.name+"-port", p.number, "proxy's `port` for "+p.name)
	}
	flags.DurationVar(&opts.readyTimeout, "ready-timeout", defaultReadyTimeout, "`time` the proxy has to become ready")
	flags.DurationVar(&opts.grace, "grace", defaultGrace, "`time` the proxy has to end after SIGTERM before it is killed")
	if err := parseFlags(flags, args, stderr); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, usageErrorf("unknown command %q: there are weight and limit, and none to run the demo", flags.Arg(0))
	}
	return opts, opts.check()
}

func (o *options) check() error {
	for _, p := range o.ports {
		if p.number < 1 || p.number > 65535 {
			return usageErrorf("--%s-port: %d is not a port (1-65535)", p.name, p.number)
		}
	}
	for _, origin := range []struct{ flag, addr string }{{"blue-addr", o.blueAddr}, {"green-addr", o.greenAddr}} {
		if _, err := netip.ParseAddrPort(origin.addr); err != nil {
			return usageErrorf("--%s: %q is not an IP address with a port, such as 127.0.0.1:18081", origin.flag, origin.addr)
		}
	}
	if o.readyTimeout <= 0 {
		return usageErrorf("--ready-timeout: %s is not a positive time", o.readyTimeout)
	}
	if o.grace <= 0 {
		return usageErrorf("--grace: %s is not a positive time", o.grace)
	}
	return nil
}
