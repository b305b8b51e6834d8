package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/penguintechinc/marchproxy-alb/xds"
)

// envoyFlags are all flags of Envoy, with a value and what /server_info shows of it. One without a value is a switch.
var envoyFlags = []struct{ name, value, field, shown string }{
	{"base-id", "7", "base_id", `"7"`},
	{"use-dynamic-base-id", "", "use_dynamic_base_id", "true"},
	{"skip-hot-restart-on-no-parent", "", "skip_hot_restart_on_no_parent", "true"},
	{"skip-hot-restart-parent-stats", "", "skip_hot_restart_parent_stats", "true"},
	{"base-id-path", "/b", "base_id_path", `"/b"`},
	{"concurrency", "3", "concurrency", "3"},
	{"config-path", "/c", "config_path", `"/c"`},
	{"config-yaml", "{}", "config_yaml", `"{}"`},
	{"allow-unknown-fields", "", "allow_unknown_static_fields", "true"},
	{"allow-unknown-static-fields", "", "allow_unknown_static_fields", "true"},
	{"reject-unknown-dynamic-fields", "", "reject_unknown_dynamic_fields", "true"},
	{"ignore-unknown-dynamic-fields", "", "ignore_unknown_dynamic_fields", "true"},
	{"skip-deprecated-logs", "", "skip_deprecated_logs", "true"},
	{"admin-address-path", "/a", "admin_address_path", `"/a"`},
	{"local-address-ip-version", "v6", "local_address_ip_version", `"v6"`},
	{"log-level", "debug", "log_level", `"debug"`},
	{"component-log-level", "http:debug,misc:off", "component_log_level", `"http:debug,misc:off"`},
	{"log-format", "%v", "log_format", `"%v"`},
	{"log-format-escaped", "", "log_format_escaped", "true"},
	{"log-path", "/l", "log_path", `"/l"`},
	{"service-cluster", "c", "service_cluster", `"c"`},
	{"service-node", "n", "service_node", `"n"`},
	{"service-zone", "z", "service_zone", `"z"`},
	{"file-flush-interval-msec", "1500", "file_flush_interval", `"1.500s"`},
	{"file-flush-min-size-kb", "5", "file_flush_min_size", "5"},
	{"drain-time-s", "30", "drain_time", `"30s"`},
	{"drain-strategy", "immediate", "drain_strategy", `"Immediate"`},
	{"parent-shutdown-time-s", "45", "parent_shutdown_time", `"45s"`},
	{"mode", "init_only", "mode", `"InitOnly"`},
	{"mode", "validate", "mode", `"Validate"`},
	{"disable-hot-restart", "", "disable_hot_restart", "true"},
	{"enable-mutex-tracing", "", "enable_mutex_tracing", "true"},
	{"restart-epoch", "1", "restart_epoch", "1"},
	{"cpuset-threads", "", "cpuset_threads", "true"},
	{"disable-extensions", "a/b,c/d", "disabled_extensions", `["a/b","c/d"]`},
	{"enable-fine-grain-logging", "", "enable_fine_grain_logging", "true"},
	{"log-stacktrace-single-entry", "", "log_stacktrace_single_entry", "true"},
	{"socket-path", "@s", "socket_path", `"@s"`},
	{"socket-mode", "644", "socket_mode", "420"},
	{"enable-core-dump", "", "enable_core_dump", "true"},
	{"stats-tag", "zone:a:b", "stats_tag", `["zone:a:b"]`},
}

// shownCommandLine returns the fields of /server_info for a command line.
func shownCommandLine(t *testing.T, args ...string) map[string]json.RawMessage {
	t.Helper()
	f, err := parseFlags(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	s := settings{flags: f, env: &environment{logLevel: "warn"}}
	text, err := (protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}).Marshal(f.commandLine(f.concurrency, s.logLevel()))
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// TestEveryFlagOfEnvoy gives each flag in both forms and looks for it in /server_info, and that it is not there without.
func TestEveryFlagOfEnvoy(t *testing.T) {
	without := shownCommandLine(t)
	tested := make(map[string]bool)
	for _, f := range envoyFlags {
		forms := [][]string{{"--" + f.name, f.value}, {"--" + f.name + "=" + f.value}}
		if f.value == "" {
			forms = [][]string{{"--" + f.name}, {"--" + f.name, "--", "--no-such-flag"}}
		}
		for _, form := range forms {
			var compact bytes.Buffer
			if err := json.Compact(&compact, shownCommandLine(t, form...)[f.field]); err != nil {
				t.Fatal(err)
			}
			if compact.String() != f.shown {
				t.Errorf("%q: %s is %s, want %s", form, f.field, &compact, f.shown)
			}
		}
		if string(without[f.field]) == f.shown {
			t.Errorf("%s is %s without --%s", f.field, f.shown, f.name)
		}
		tested[f.field] = true
	}
	fields := (&adminv3.CommandLineOptions{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); !tested[name] {
			t.Errorf("/server_info has command_line_options.%s, and no flag is tested for it", name)
		}
	}
	if got := string(without["log_level"]); got != `"warning"` {
		t.Errorf("log_level of the environment is shown as %s", got)
	}
}

func TestShortFlags(t *testing.T) {
	f, err := parseFlags([]string{"-c", "/x", "-l", "trace"})
	if err != nil || f.configPath != "/x" || f.logLevel != "trace" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestFlagsRefused(t *testing.T) {
	tests := map[string][]string{
		`invalid argument "x" for "--base-id" flag`:                       {"--base-id", "x"},
		`invalid argument "-1" for "--drain-time-s" flag`:                 {"--drain-time-s=-1"},
		"flag needs an argument: --config-path":                           {"--config-path"},
		`--drain-strategy: "slow" is not a strategy (gradual, immediate)`: {"--drain-strategy", "slow"},
		`--socket-mode: "999" is not permissions in octal, at most 777`:   {"--socket-mode", "999"},
		`--component-log-level: "http" is not a component and its level`:  {"--component-log-level", "http"},
		`--component-log-level: http: "loud" is not a level`:              {"--component-log-level", "misc:info,http:loud"},
		`--stats-tag: "zone" is not a tag and its value, like zone:a`:     {"--stats-tag", "zone"},
		`--stats-tag: "a-b:c" is not a tag and its value`:                 {"--stats-tag", "a-b:c"},
		`--stats-tag: "a:b.c": the value must not have a dot`:             {"--stats-tag", "a:b.c"},
		`--stats-tag: "a" is given twice`:                                 {"--stats-tag", "a:b", "--stats-tag", "a:c"},
	}
	for want, args := range tests {
		if _, err := parseFlags(args); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", args, err, want)
		}
	}
}

func TestUnknownDynamicFields(t *testing.T) {
	for flag, want := range map[string]xds.UnknownFields{
		"--skip-deprecated-logs":          xds.WarnUnknownFields,
		"--reject-unknown-dynamic-fields": xds.RejectUnknownFields,
		"--ignore-unknown-dynamic-fields": xds.IgnoreUnknownFields,
	} {
		f, err := parseFlags([]string{flag})
		if err != nil || f.unknownDynamicFields() != want {
			t.Errorf("%s: %d, %v", flag, f.unknownDynamicFields(), err)
		}
	}
}

// TestStatsOptions holds what the command line and the bootstrap say of statistics against each other.
func TestStatsOptions(t *testing.T) {
	load := func(yaml string, args ...string) (*settings, error) {
		f, err := parseFlags(append(slices.Clone(args), "--config-yaml", yaml))
		if err != nil {
			t.Fatal(err)
		}
		env, err := readEnvironment(func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		return loadSettings(f, env, func(string) string { return "" })
	}
	s, err := load("stats_config: {use_all_default_tags: false, stats_tags: [{tag_name: a, fixed_value: b}, {tag_name: envoy.cluster_name}, {tag_name: d, regex: ^(e)}], "+
		"stats_matcher: {inclusion_list: {patterns: [{prefix: cluster.}]}}, histogram_bucket_settings: [{match: {prefix: http.}, buckets: [2, 1]}]}", "--stats-tag", "x:y")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.stats.Tags); n != 4 || !s.stats.NoDefaultTags {
		t.Errorf("%d rules, no default tags %t", n, s.stats.NoDefaultTags)
	}
	if s.stats.Reject("cluster.a.b") || !s.stats.Reject("http.a") {
		t.Error("not what the inclusion list says")
	}
	if b := s.stats.Buckets; len(b) != 1 || !b[0].Match("http.x") || b[0].Match("cluster.x") || !slices.Equal(b[0].Bounds, []float64{1, 2}) {
		t.Errorf("buckets %+v", b)
	}
	if s, err = load("stats_config: {stats_tags: [{tag_name: envoy.cluster_name}], stats_matcher: {exclusion_list: {patterns: [{prefix: cluster.}]}}}"); err != nil {
		t.Fatal(err)
	}
	if len(s.stats.Tags) != 0 || !s.stats.Reject("cluster.a.b") || s.stats.Reject("http.a") {
		t.Error("a default tag is there twice, or it is not what the exclusion list says")
	}
	if _, err = load("stats_config: {stats_tags: [{tag_name: a, fixed_value: b}]}", "--stats-tag", "a:c"); err == nil || !strings.Contains(err.Error(), `--stats-tag: "a" is a tag of stats_config.stats_tags too`) {
		t.Errorf("got %v", err)
	}
	if _, err = load("stats_config: {stats_tags: [{tag_name: a}]}"); err == nil || !strings.Contains(err.Error(), `stats_config.stats_tags: tag "a": there is no default tag of this name`) {
		t.Errorf("got %v", err)
	}
}
