package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

// The values of --mode.
const (
	modeServe    = "serve"
	modeValidate = "validate"
	modeInitOnly = "init_only"
)

// flags are what the command line says, Envoy's flags under Envoy's names.
type flags struct {
	version, hotRestartVersion bool
	mode                       string

	configPath, configYAML     string
	allowUnknown               bool
	rejectUnknown              bool
	ignoreUnknown              bool
	cluster, node, zone        string
	logLevel                   string
	componentLogLevel, logPath string
	concurrency                int
	concurrencySet             bool
	adminAddressPath           string
	addressVersion             string   // v4 or v6
	statsTags                  []string // name:value

	mutexTracing bool
	drainTime    uint32 // seconds

	// What follows has no function here, and /server_info shows it.

	baseID, restartEpoch                uint32
	useDynamicBaseID, disableHotRestart bool
	skipNoParent, skipParentStats       bool
	baseIDPath, socketPath, socketMode  string
	parentShutdownTime                  uint32 // seconds
	drainStrategy                       string
	cpusetThreads                       bool
	logFormat                           string
	logFormatEscaped, fineGrainLogging  bool
	stacktraceSingleEntry               bool
	fileFlushInterval, fileFlushMinSize uint32 // milliseconds, KiB
	skipDeprecatedLogs                  bool
	disabledExtensions                  string
	coreDump                            bool
}

// parseFlags reads the command line. What follows "--" is ignored, as Envoy does.
func parseFlags(args []string) (*flags, error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	f := &flags{}
	set := f.define()
	set.Usage = func() {
		fmt.Fprintf(os.Stdout, "Usage: proxy-alb [flags]\n       proxy-alb healthcheck\n\n%s", set.FlagUsages())
	}
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if rest := set.Args(); len(rest) > 0 {
		return nil, fmt.Errorf("unexpected argument %q, want flags only", rest[0])
	}
	f.concurrencySet = set.Changed("concurrency")
	return f, f.check()
}

// define returns the set of all flags.
func (f *flags) define() *pflag.FlagSet {
	set := pflag.NewFlagSet("proxy-alb", pflag.ContinueOnError)
	set.SortFlags = false
	set.StringVarP(&f.configPath, "config-path", "c", "", "bootstrap `file`: .yaml, .json, .pb or .pb_text")
	set.StringVar(&f.configYAML, "config-yaml", "", "bootstrap as `text`, laid over the file")
	set.StringVar(&f.mode, "mode", modeServe, "serve, validate or init_only")
	set.StringVar(&f.cluster, "service-cluster", "", "`name` of the cluster this node belongs to, before node.cluster")
	set.StringVar(&f.node, "service-node", "", "`id` of this node, before node.id")
	set.StringVar(&f.zone, "service-zone", "", "`zone` of this node, before node.locality.zone")
	set.IntVar(&f.concurrency, "concurrency", 0, "worker threads; by default as many as the CPUs this process may use")
	set.StringVarP(&f.logLevel, "log-level", "l", "", "trace, debug, info, warning, error, critical or off")
	set.StringVar(&f.logPath, "log-path", "", "log `file` instead of standard error")
	set.BoolVar(&f.allowUnknown, "allow-unknown-static-fields", false, "accept fields that the bootstrap API does not have")
	set.BoolVar(&f.allowUnknown, "allow-unknown-fields", false, "the same")
	set.BoolVar(&f.rejectUnknown, "reject-unknown-dynamic-fields", false, "refuse resources of control planes with fields that the API does not have")
	set.BoolVar(&f.ignoreUnknown, "ignore-unknown-dynamic-fields", false, "do not look for such fields, instead of warning and counting")
	set.StringVar(&f.adminAddressPath, "admin-address-path", "", "`file` that the admin address is written to")
	set.StringVar(&f.addressVersion, "local-address-ip-version", "v4", "v4 or v6: which address of this machine stands for a loopback client in x-forwarded-for")
	set.StringArrayVar(&f.statsTags, "stats-tag", nil, "`name:value` that every statistic is tagged with; may be repeated")
	set.Uint32Var(&f.drainTime, "drain-time-s", uint32(proxy.DefaultDrainTime/time.Second), "`seconds` that connections of a changed or removed listener may go on")
	set.BoolVar(&f.mutexTracing, "enable-mutex-tracing", false, "count contention of mutexes, for /contention of the admin interface")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	set.BoolVar(&f.hotRestartVersion, "hot-restart-version", false, "print what this version can be hot restarted with, and exit")
	f.defineAccepted(set)
	return set
}

// defineAccepted defines the flags of Envoy that have no function here. Each is harmless: what it tunes does not exist in this
// process.
func (f *flags) defineAccepted(set *pflag.FlagSet) {
	const usage = "accepted as in Envoy, without effect"
	for _, a := range []struct {
		name  string
		value *bool
	}{
		{"use-dynamic-base-id", &f.useDynamicBaseID}, {"disable-hot-restart", &f.disableHotRestart},
		{"skip-hot-restart-on-no-parent", &f.skipNoParent}, {"skip-hot-restart-parent-stats", &f.skipParentStats},
		{"cpuset-threads", &f.cpusetThreads}, {"log-format-escaped", &f.logFormatEscaped},
		{"enable-fine-grain-logging", &f.fineGrainLogging}, {"log-stacktrace-single-entry", &f.stacktraceSingleEntry},
		{"skip-deprecated-logs", &f.skipDeprecatedLogs}, {"enable-core-dump", &f.coreDump},
	} {
		set.BoolVar(a.value, a.name, false, usage)
	}
	for _, a := range []struct {
		name, byDefault string
		value           *string
	}{
		{"base-id-path", "", &f.baseIDPath}, {"socket-path", "@envoy_domain_socket", &f.socketPath},
		{"socket-mode", "600", &f.socketMode}, {"drain-strategy", drainGradual, &f.drainStrategy},
		{"component-log-level", "", &f.componentLogLevel}, {"log-format", "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v", &f.logFormat},
		{"disable-extensions", "", &f.disabledExtensions},
	} {
		set.StringVar(a.value, a.name, a.byDefault, usage)
	}
	for _, a := range []struct {
		name      string
		byDefault uint32
		value     *uint32
	}{
		{"base-id", 0, &f.baseID}, {"restart-epoch", 0, &f.restartEpoch},
		{"parent-shutdown-time-s", 900, &f.parentShutdownTime}, {"file-flush-interval-msec", 10_000, &f.fileFlushInterval},
		{"file-flush-min-size-kb", 64, &f.fileFlushMinSize},
	} {
		set.Uint32Var(a.value, a.name, a.byDefault, usage)
	}
}

// The values of --drain-strategy.
const (
	drainGradual   = "gradual"
	drainImmediate = "immediate"
)

// maxSocketMode is all permissions of a socket for everybody.
const maxSocketMode = 0o777

func (f *flags) check() error {
	if f.mode != modeServe && f.mode != modeValidate && f.mode != modeInitOnly {
		return fmt.Errorf("--mode: %q is not a mode (serve, validate, init_only)", f.mode)
	}
	if f.addressVersion != "v4" && f.addressVersion != "v6" {
		return fmt.Errorf("--local-address-ip-version: %q is not a version (v4, v6)", f.addressVersion)
	}
	if f.concurrency < 0 || f.concurrency > proxy.MaxWorkers {
		return fmt.Errorf("--concurrency: %d is not a number of threads (0-%d)", f.concurrency, proxy.MaxWorkers)
	}
	if f.drainStrategy != drainGradual && f.drainStrategy != drainImmediate {
		return fmt.Errorf("--drain-strategy: %q is not a strategy (gradual, immediate)", f.drainStrategy)
	}
	if _, err := f.socketPermissions(); err != nil {
		return err
	}
	if f.logLevel != "" {
		if _, err := parseLevel(f.logLevel); err != nil {
			return fmt.Errorf("--log-level: %w", err)
		}
	}
	return f.checkLists()
}

// checkLists checks the flags that hold several values.
func (f *flags) checkLists() error {
	for pair := range strings.SplitSeq(f.componentLogLevel, ",") {
		if f.componentLogLevel == "" {
			break
		}
		name, level, ok := strings.Cut(pair, ":")
		if !ok || name == "" {
			return fmt.Errorf("--component-log-level: %q is not a component and its level, like upstream:debug", pair)
		}
		if _, err := parseLevel(level); err != nil {
			return fmt.Errorf("--component-log-level: %s: %w", name, err)
		}
	}
	named := make(map[string]bool)
	for _, tag := range f.statsTags {
		name, value, ok := strings.Cut(tag, ":")
		switch {
		case !ok || !isTagName(name):
			return fmt.Errorf("--stats-tag: %q is not a tag and its value, like zone:a, with letters and digits as the name", tag)
		case strings.Contains(value, "."):
			return fmt.Errorf("--stats-tag: %q: the value must not have a dot", tag)
		case named[name]:
			return fmt.Errorf("--stats-tag: %q is given twice", name)
		}
		named[name] = true
	}
	return nil
}

// isTagName reports whether s is a name that Envoy takes for a tag of the command line.
func isTagName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_')
	})
}

// socketPermissions returns --socket-mode as a number.
func (f *flags) socketPermissions() (uint32, error) {
	mode, err := strconv.ParseUint(f.socketMode, 8, 32)
	if err != nil || mode > maxSocketMode {
		return 0, fmt.Errorf("--socket-mode: %q is not permissions in octal, at most 777", f.socketMode)
	}
	return uint32(mode), nil
}

// unknownDynamicFields returns what becomes of resources of control planes with unknown fields.
func (f *flags) unknownDynamicFields() xds.UnknownFields {
	switch {
	case f.rejectUnknown:
		return xds.RejectUnknownFields
	case f.ignoreUnknown:
		return xds.IgnoreUnknownFields
	}
	return xds.WarnUnknownFields
}
