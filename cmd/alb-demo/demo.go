package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/penguintechinc/marchproxy-alb/internal/demo/controlplane"
	"github.com/penguintechinc/marchproxy-alb/internal/demo/origin"
)

// helloRoute is the route of "/", which the guide shifts and limits by name.
const helloRoute = "hello"

// runDemo runs everything until ctx ends, which is success, or the proxy does, which is not. Nothing it started runs when it returns.
func runDemo(ctx context.Context, opts *options, stdout io.Writer) (err error) {
	path, err := exec.LookPath(opts.proxy)
	if err != nil {
		return fmt.Errorf("the proxy's binary: %w (build it with make, or name it with --proxy)", err)
	}
	if err := checkPorts(opts.ports); err != nil {
		return err
	}
	log, err := openLog(opts.proxyLog)
	if err != nil {
		return err
	}
	closeAtEnd := func(closer io.Closer) { // runs in reverse order of starting
		err = errors.Join(err, closer.Close())
	}
	defer closeAtEnd(log)

	blue, err := origin.Start(opts.blueAddr, "blue")
	if err != nil {
		return inUse(err, opts.blueAddr, "--blue-addr")
	}
	defer closeAtEnd(blue)
	green, err := origin.Start(opts.greenAddr, "green")
	if err != nil {
		return inUse(err, opts.greenAddr, "--green-addr")
	}
	defer closeAtEnd(green)
	control, err := startControlPlane(opts, stdout)
	if err != nil {
		return err
	}
	defer closeAtEnd(control)
	if err := control.Apply(firstConfig(blue.Addr(), green.Addr())); err != nil {
		return err
	}
	return runProxy(ctx, opts, stdout, path, log, control)
}

// runProxy runs the proxy against a control plane that serves.
func runProxy(ctx context.Context, opts *options, stdout io.Writer, path string, log *os.File, control *controlplane.Server) error {
	fmt.Fprintf(stdout, "starting %s, its log is %s\n", path, log.Name())
	proxy, err := startProxy(path, proxyEnv(opts, control.ADSAddr()), log)
	if err != nil {
		return err
	}
	defer proxy.stop(opts.grace)
	if err := waitReady(ctx, opts.local(adminPort), opts.readyTimeout, proxy.done); err != nil {
		return describe(err, proxy, log)
	}
	if ctx.Err() == nil {
		writeGuide(stdout, opts, control.HTTPAddr())
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(stdout, "stopping")
		return nil
	case <-proxy.done:
		return describe(errEnded, proxy, log)
	}
}

func startControlPlane(opts *options, stdout io.Writer) (*controlplane.Server, error) {
	control, err := controlplane.New(controlplane.Options{
		ADSAddr:      opts.adsAddr,
		HTTPAddr:     opts.apiAddr,
		ListenerPort: uint16(opts.ports[trafficPort].number),
		Logf:         func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) },
	})
	if err != nil {
		return nil, inUse(err, opts.adsAddr+" or "+opts.apiAddr, "--ads-addr or --api-addr")
	}
	return control, nil
}

// firstConfig sends everything to blue, and /green to green.
func firstConfig(blue, green string) controlplane.Config {
	return controlplane.Config{
		Version:  "1",
		Services: []controlplane.Service{originService("blue", blue), originService("green", green)},
		Routes: []controlplane.Route{
			{Name: helloRoute, Prefix: "/", ClusterName: "blue"},
			{Name: "green", Prefix: "/green", ClusterName: "green"},
		},
	}
}

// originService describes an origin at an address that netip.ParseAddrPort takes.
func originService(name, addr string) controlplane.Service {
	parsed := netip.MustParseAddrPort(addr)
	return controlplane.Service{Name: name, Hosts: []string{parsed.Addr().String()}, Port: int(parsed.Port()), WebSocketUpgrade: true}
}

// checkPorts reports the first port that the proxy would not get. They are all held at once, so that one named twice shows too, and freed for the proxy.
func checkPorts(ports []port) error {
	for _, p := range ports {
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(int(p.number)))
		if err != nil {
			return inUse(fmt.Errorf("the proxy's %s port: %w", p.name, err), ":"+strconv.Itoa(int(p.number)), "--"+p.name+"-port")
		}
		defer listener.Close()
	}
	return nil
}

// inUse adds to an error of listening on addr what to do about it.
func inUse(err error, addr, flag string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%w\nstop what listens on %s (ss -ltnp names it), or choose another with %s", err, addr, flag)
}

// openLog opens the file for the proxy's log, a new one when path is empty.
func openLog(path string) (*os.File, error) {
	switch path {
	case logToStderr:
		// A file of its own, because it is closed at the end.
		fd, err := syscall.Dup(int(os.Stderr.Fd()))
		if err != nil {
			return nil, fmt.Errorf("the proxy's log: duplicate stderr: %w", err)
		}
		return os.NewFile(uintptr(fd), "stderr"), nil
	case "":
		dir, err := os.MkdirTemp("", "alb-demo-")
		if err != nil {
			return nil, fmt.Errorf("the proxy's log: %w", err)
		}
		path = filepath.Join(dir, "proxy.log")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the proxy's log: %w", err)
	}
	return file, nil
}
