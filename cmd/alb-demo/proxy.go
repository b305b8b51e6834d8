package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// noConfigPath is where no bootstrap file is, so that the proxy makes its own from the environment.
	noConfigPath = "/nonexistent/envoy.yaml"
	// drainTimeout is what the proxy is told to end within: less than defaultGrace, so that it is not killed on the way.
	drainTimeout = "5s"
	readyPoll    = 100 * time.Millisecond
	// readyCallTimeout bounds one call of /ready, which answers at once.
	readyCallTimeout = time.Second
	// maxReadyBody bounds what is read of a /ready that is not what it should be.
	maxReadyBody = 4096
	// The end of a log that goes into an error: enough for the last message and what led to it.
	tailBytes = 4096
	tailLines = 10
)

// errEnded is a proxy that ended without being told to.
var errEnded = errors.New("the proxy ended")

// proxyEnv is this process's environment with what the demo needs set over it.
func proxyEnv(opts *options, adsAddr string) []string {
	env := append(os.Environ(), "XDS_SERVER="+adsAddr, "ENVOY_CONFIG_PATH="+noConfigPath, "SHUTDOWN_TIMEOUT="+drainTimeout)
	for _, p := range opts.ports {
		env = append(env, fmt.Sprintf("%s=%d", p.env, p.number))
	}
	return env
}

// proxyProcess is a running proxy.
type proxyProcess struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of exec.Cmd.Wait; set before done is closed
}

// startProxy starts the binary at path in a process group of its own, so that Ctrl-C reaches it only through stop, and ends it with this process should that be
// killed.
func startProxy(path string, env []string, log *os.File) (*proxyProcess, error) {
	p := &proxyProcess{cmd: exec.Command(path), done: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that started the process ends, so this one stays until the process has: prctl(2), PR_SET_PDEATHSIG.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	return p, nil
}

// stop ends the proxy: SIGTERM, and when it has not ended after grace, SIGKILL to its whole group. It returns when the proxy has ended.
func (p *proxyProcess) stop(grace time.Duration) {
	// Signal fails only when the process has ended, which done tells.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// waitReady waits until the proxy's /ready answers 200. It returns nil when ctx ends first, and an error when the proxy ends or time runs out.
func waitReady(ctx context.Context, adminAddr string, timeout time.Duration, ended <-chan struct{}) error {
	client := &fasthttp.HostClient{Addr: adminAddr, MaxResponseBodySize: maxReadyBody}
	defer client.CloseIdleConnections()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	url := "http://" + adminAddr + "/ready"
	for {
		answer, ready := callReady(client, url)
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return errEnded
		case <-deadline.C:
			return fmt.Errorf("the proxy is not ready after %s: %s %s", timeout, url, answer)
		case <-poll.C:
		}
	}
}

// callReady returns what /ready has to say, in words, and whether that is yes.
func callReady(client *fasthttp.HostClient, url string) (answer string, ready bool) {
	status, body, err := client.GetTimeout(nil, url, readyCallTimeout)
	if err != nil {
		return "does not answer: " + err.Error(), false
	}
	return fmt.Sprintf("answers %d %q", status, body), status == fasthttp.StatusOK
}

// describe adds to an error of starting the proxy how it ended, if it did, and where to look.
func describe(err error, proxy *proxyProcess, log *os.File) error {
	select {
	case <-proxy.done:
		reason := "exit status 0"
		if proxy.err != nil {
			reason = proxy.err.Error()
		}
		err = fmt.Errorf("%w: %s", errEnded, reason)
	default:
	}
	last, tailErr := tail(log)
	switch {
	case tailErr != nil: // the terminal, which has shown it
		return err
	case last == "":
		return fmt.Errorf("%w\nits log %s is empty", err, log.Name())
	}
	return fmt.Errorf("%w\nits log %s ends with\n%s", err, log.Name(), last)
}

// tail returns the last lines of a file, indented.
func tail(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	data := make([]byte, min(info.Size(), tailBytes))
	if _, err := file.ReadAt(data, info.Size()-int64(len(data))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if lines[0] == "" {
		return "", nil
	}
	lines = lines[max(0, len(lines)-tailLines):]
	return "  " + strings.Join(lines, "\n  "), nil
}
