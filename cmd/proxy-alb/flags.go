package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// The values of --mode.
const (
	modeServe    = "serve"
	modeValidate = "validate"
	modeInitOnly = "init_only"
)

// flags are what the command line says, Envoy's flags under Envoy's names.
type flags struct {
	version bool
	mode    string

	configPath, configYAML     string
	allowUnknown               bool
	cluster, node, zone        string
	logLevel                   string
	componentLogLevel, logPath string
	concurrency                int
	concurrencySet             bool
	adminAddressPath           string
	addressVersion             string // v4 or v6

	// all holds every flag that was given, for /server_info.
	all map[string]string
}

// accepted are the flags of Envoy that have no function here, with their values' defaults. A flag without default is a
// switch. Each is harmless to ignore: what it tunes does not exist in this process.
var accepted = []struct{ name, value string }{
	{"base-id", "0"}, {"base-id-path", "-"}, {"restart-epoch", "0"}, {"hot-restart-version", ""},
	{"use-dynamic-base-id", ""}, {"disable-hot-restart", ""}, {"skip-hot-restart-on-no-parent", ""},
	{"skip-hot-restart-parent-stats", ""}, {"socket-path", "@envoy_domain_socket"}, {"socket-mode", "600"},
	{"drain-time-s", "600"}, {"drain-strategy", "gradual"}, {"parent-shutdown-time-s", "900"},
	{"cpuset-threads", ""},
	{"log-format", "-"}, {"log-format-escaped", ""}, {"enable-fine-grain-logging", ""},
	{"file-flush-interval-msec", "10000"}, {"file-flush-min-size-kb", "64"},
	{"reject-unknown-dynamic-fields", ""}, {"ignore-unknown-dynamic-fields", ""}, {"skip-deprecated-logs", ""},
	{"disable-extensions", "-"}, {"enable-mutex-tracing", ""}, {"enable-core-dump", ""}, {"stats-tag", "-"},
}

// parseFlags reads the command line. What follows "--" is ignored, as Envoy does.
func parseFlags(args []string) (*flags, error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	f := &flags{all: make(map[string]string)}
	set := pflag.NewFlagSet("proxy-alb", pflag.ContinueOnError)
	set.SortFlags = false
	f.define(set)
	set.Usage = func() {
		fmt.Fprintf(os.Stdout, "Usage: proxy-alb [flags]\n       proxy-alb healthcheck\n\n%s", set.FlagUsages())
	}
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if rest := set.Args(); len(rest) > 0 {
		return nil, fmt.Errorf("unexpected argument %q, want flags only", rest[0])
	}
	set.Visit(func(one *pflag.Flag) { f.all[one.Name] = one.Value.String() })
	f.concurrencySet = set.Changed("concurrency")
	return f, f.check()
}

func (f *flags) define(set *pflag.FlagSet) {
	set.StringVarP(&f.configPath, "config-path", "c", "", "bootstrap `file`, YAML or JSON")
	set.StringVar(&f.configYAML, "config-yaml", "", "bootstrap as `text`, laid over the file")
	set.StringVar(&f.mode, "mode", modeServe, "serve, validate or init_only")
	set.StringVar(&f.cluster, "service-cluster", "", "`name` of the cluster this node belongs to, before node.cluster")
	set.StringVar(&f.node, "service-node", "", "`id` of this node, before node.id")
	set.StringVar(&f.zone, "service-zone", "", "`zone` of this node, before node.locality.zone")
	set.IntVar(&f.concurrency, "concurrency", 0, "worker threads; by default as many as the CPUs this process may use")
	set.StringVarP(&f.logLevel, "log-level", "l", "", "trace, debug, info, warning, error, critical or off")
	set.StringVar(&f.componentLogLevel, "component-log-level", "", "levels of components, accepted as in Envoy")
	set.StringVar(&f.logPath, "log-path", "", "log `file` instead of standard error")
	set.BoolVar(&f.allowUnknown, "allow-unknown-static-fields", false, "accept fields that the bootstrap API does not have")
	set.Bool("allow-unknown-fields", false, "the same")
	set.StringVar(&f.adminAddressPath, "admin-address-path", "", "`file` that the admin address is written to")
	set.StringVar(&f.addressVersion, "local-address-ip-version", "v4", "v4 or v6: which address of this machine stands for a loopback client in x-forwarded-for")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	for _, a := range accepted {
		if a.value == "" {
			set.Bool(a.name, false, "accepted as in Envoy, without effect")
		} else {
			set.String(a.name, a.value, "accepted as in Envoy, without effect")
		}
	}
}

func (f *flags) check() error {
	f.allowUnknown = f.allowUnknown || f.all["allow-unknown-fields"] == "true"
	if f.mode != modeServe && f.mode != modeValidate && f.mode != modeInitOnly {
		return fmt.Errorf("--mode: %q is not a mode (serve, validate, init_only)", f.mode)
	}
	if f.addressVersion != "v4" && f.addressVersion != "v6" {
		return fmt.Errorf("--local-address-ip-version: %q is not a version (v4, v6)", f.addressVersion)
	}
	if f.concurrency < 0 || f.concurrency > proxy.MaxWorkers {
		return fmt.Errorf("--concurrency: %d is not a number of threads (0-%d)", f.concurrency, proxy.MaxWorkers)
	}
	if f.logLevel != "" {
		if _, err := parseLevel(f.logLevel); err != nil {
			return fmt.Errorf("--log-level: %w", err)
		}
	}
	return nil
}

// given reports whether a switch was set.
func (f *flags) given(name string) bool { return strings.EqualFold(f.all[name], "true") }
