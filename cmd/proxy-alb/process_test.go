package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestConfigFromDescriptor starts with a configuration that comes through a pipe: /dev/stdin, and a descriptor that was inherited.
func TestConfigFromDescriptor(t *testing.T) {
	text := fmt.Sprintf(listenerYAML, 0, "hi")
	cmd := command(t, nil, "--mode", "validate", "-c", "/dev/stdin")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "configuration '/dev/stdin' OK\n" {
		t.Errorf("%q, %v", out, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString(text); err != nil {
		t.Fatal(err)
	}
	write.Close()
	cmd = command(t, nil, "--mode", "validate", "-c", "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{read}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "configuration '/dev/fd/3' OK\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestInitOnly goes as far as opening ports, and ends: a port in use is found, and nothing is served.
func TestInitOnly(t *testing.T) {
	path := write(t, fmt.Sprintf(listenerYAML, 0, "hi"))
	if out, err := command(t, freePorts, "--mode", "init_only", "-c", path, "--concurrency", "1").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestValidateWarns says what has no effect, and that the rest is well.
func TestValidateWarns(t *testing.T) {
	path := write(t, fmt.Sprintf(listenerYAML, 0, "hi")+"watchdog: {}\nfuture: {}\n")
	cmd := command(t, nil, "--mode", "validate", "-c", path, "--allow-unknown-static-fields")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil || string(out) != "configuration '"+path+"' OK\n" {
		t.Errorf("%q, %v", out, err)
	}
	want := "proxy-alb: warning: " + path + ": future: unknown field of envoy.config.bootstrap.v3.Bootstrap\n" +
		"proxy-alb: warning: " + path + ": watchdog: has no effect: there is no watchdog\n"
	if stderr.String() != want {
		t.Errorf("stderr %q, want %q", &stderr, want)
	}
}

func TestHotRestartVersion(t *testing.T) {
	if out, err := command(t, nil, "--hot-restart-version").Output(); err != nil || string(out) != "disabled\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestCommandLineOverFile merges --config-yaml over the file, and lets the flags of the node go before both.
func TestCommandLineOverFile(t *testing.T) {
	path := write(t, "node: {id: file, cluster: file, locality: {region: r, zone: file}}\nstats_config: {stats_tags: [{tag_name: module_type, fixed_value: ALB}]}\n"+
		fmt.Sprintf(listenerYAML, 0, "hi")+"unknown: 1\n")
	r := startProxy(t, path, "--config-yaml", "node: {id: text, cluster: text}\nstats_config: {stats_tags: [{tag_name: team, fixed_value: a}]}",
		"--service-node", "flag", "--service-zone", "flag", "--stats-tag", "pool:b", "--allow-unknown-static-fields", "--restart-epoch", "3", "--", "ignored")
	for _, path := range []string{"/server_info", "/config_dump"} {
		text := strings.Join(strings.Fields(r.get(r.admin, path)), "")
		for _, want := range []string{`"id":"flag"`, `"cluster":"text"`, `"region":"r"`, `"zone":"flag"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s:\n%s", path, want, text)
			}
		}
	}
	if got, want := r.get(r.admin, "/stats?filter=^server.static_unknown_fields|^server.hot_restart_epoch"),
		"server.hot_restart_epoch: 3\nserver.static_unknown_fields: 1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.get(r.admin, "/stats/prometheus?filter=^server.live"),
		`envoy_server_live{module_type="ALB",pool="b",team="a"} 1`; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReopenLog moves the log away, as a program that rotates logs does.
func TestReopenLog(t *testing.T) {
	logPath := filepath.Join(t.TempDir(), "log")
	r := startProxy(t, write(t, fmt.Sprintf(listenerYAML, 0, "hi")), "--log-path", logPath)
	has := func(path, what string) func() bool {
		return func() bool {
			text, err := os.ReadFile(path)
			return err == nil && bytes.Contains(text, []byte(what))
		}
	}
	r.eventually(t, has(logPath, `"msg":"ready"`))
	if err := os.Rename(logPath, logPath+".1"); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, has(logPath+".1", `"signal":"user defined signal 1"`))
	r.eventually(t, func() bool { _, err := os.Stat(logPath); return err == nil })
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, has(logPath, `"msg":"configuration reloaded"`))
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil || r.stderr.Len() > 0 {
		t.Errorf("ended with %v; stderr: %s", err, r.stderr)
	}
}
