package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
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
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(env.healthPort)) + "/healthz"
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
