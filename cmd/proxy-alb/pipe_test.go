package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// overPipe asks over a Unix domain socket and returns the body, or the error.
func overPipe(socket, path string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// startOnPipe starts a process whose admin interface is a Unix domain socket.
func startOnPipe(t *testing.T, config, socket string) *running {
	t.Helper()
	address := filepath.Join(t.TempDir(), "admin")
	r := &running{cmd: command(t, freePorts, "-c", config, "--admin-address-path", address, "--concurrency", "2"), stderr: new(bytes.Buffer)}
	r.cmd.Stderr = r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	r.eventually(t, func() bool { return overPipe(socket, "/ready") == "LIVE\n" })
	if text, err := os.ReadFile(address); err != nil || string(text) != socket {
		t.Errorf("the admin address is %q, %v", text, err)
	}
	return r
}

// TestPipes serves traffic and administration on Unix domain sockets: of the bootstrap, and of listeners that a control plane adds,
// changes and takes away. Their files go with the process, and are replaced when they were left.
func TestPipes(t *testing.T) {
	dir := t.TempDir()
	socket, main, added, lds := filepath.Join(dir, "admin.sock"), filepath.Join(dir, "main.sock"), filepath.Join(dir, "added.sock"), filepath.Join(dir, "lds.yaml")
	pipe := func(path string) string { return "pipe: {path: " + path + ", mode: 384}" }
	text := strings.NewReplacer(
		"socket_address: {address: 127.0.0.1, port_value: 0}}}", pipe(socket)+"}}",
		"socket_address: {address: 127.0.0.1, port_value: 1}}", pipe(main)+"}",
	).Replace(fmt.Sprintf(listenerYAML, 1, "hi"))
	path := write(t, text+"dynamic_resources: {lds_config: {path_config_source: {path: "+lds+"}}}\nnode: {id: n, cluster: c}\n")
	listener := text[strings.Index(text, "  - name: main"):]
	serve := func(version, listeners string) {
		response := "version_info: '" + version + "'\nresources:\n" + listeners
		if err := os.WriteFile(lds+".next", []byte(response), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(lds+".next", lds); err != nil {
			t.Fatal(err)
		}
	}
	dynamic := func(mode string) string {
		l := strings.NewReplacer("- name: main", "- '@type': type.googleapis.com/envoy.config.listener.v3.Listener\n    name: added", main, added, "mode: 384", "mode: "+mode).Replace(listener)
		return l
	}
	serve("1", dynamic("384"))
	r := startOnPipe(t, path, socket)
	for _, at := range []string{main, added} {
		if got := overPipe(at, "/"); got != "hi" {
			t.Errorf("%s: %q", at, got)
		}
	}
	for _, file := range []string{socket, main, added} {
		if at, err := os.Lstat(file); err != nil || at.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file, at, err)
		}
	}
	if got, want := overPipe(socket, "/listeners"), "added::"+added+"\nmain::"+main+"\n"; got != want {
		t.Errorf("/listeners: %q, want %q", got, want)
	}
	if got := overPipe(socket, "/config_dump"); !strings.Contains(got, `"path": "`+added+`"`) {
		t.Errorf("/config_dump has not the added listener's path: %s", got)
	}
	serve("2", dynamic("432"))
	r.eventually(t, func() bool { at, err := os.Lstat(added); return err == nil && at.Mode().Perm() == 0o660 })
	if got := overPipe(added, "/"); got != "hi" {
		t.Errorf("with another mode: %q", got)
	}
	serve("3", strings.Replace(dynamic("384"), added, main, 1)) // which the bootstrap's has
	r.eventually(t, func() bool { return strings.Contains(overPipe(socket, "/config_dump"), "is taken by listener") })
	serve("4", "")
	r.eventually(t, func() bool { _, err := os.Lstat(added); return errors.Is(err, os.ErrNotExist) })
	if err := r.cmd.Process.Kill(); err != nil { // which leaves the files
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	r = startOnPipe(t, path, socket)
	if got := overPipe(main, "/"); got != "hi" {
		t.Errorf("after a crash: %q", got)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("ended with %v; stderr: %s", err, r.stderr)
	}
	for _, file := range []string{socket, main} {
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", file, err)
		}
	}
}
