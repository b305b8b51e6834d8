package main

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// healthcheckTimeout bounds the question; a container's HEALTHCHECK usually allows more.
const healthcheckTimeout = 3 * time.Second

// healthcheck asks a running proxy-alb on this machine how it is, for images that have no other program to do so.
func healthcheck(args []string, getenv func(string) string) int {
	if len(args) > 0 {
		fmt.Fprintf(os.Stderr, "proxy-alb healthcheck: unexpected argument %q, want none\n", args[0])
		return exitError
	}
	env, err := readEnvironment(getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	url := "http://" + reachable(env.health).String() + "/healthz"
	client := &fasthttp.Client{MaxResponseBodySize: 64 << 10}
	status, body, err := client.GetTimeout(nil, url, healthcheckTimeout)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "proxy-alb healthcheck: %s: %v\n", url, err)
	case status != fasthttp.StatusOK:
		fmt.Fprintf(os.Stderr, "proxy-alb healthcheck: %s: status %d: %s\n", url, status, body)
	default:
		return exitOK
	}
	return exitError
}

// reachable returns where a face on this machine is asked that listens on an address: on loopback, where it listens on all.
func reachable(a config.Address) config.Address {
	switch ip, err := netip.ParseAddr(a.IP); {
	case err != nil || !ip.IsUnspecified():
	case ip.Is4():
		a.IP = "127.0.0.1"
	default:
		a.IP = "::1"
	}
	return a
}
