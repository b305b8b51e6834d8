package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

// runControlPlane serves package bulk until it is interrupted.
func runControlPlane(ctx context.Context, args []string, _ io.Reader, _, stderr io.Writer) error {
	var size bulk.Size
	flags := flag.NewFlagSet("alb-bench control-plane", flag.ContinueOnError)
	xds := flags.String("xds", "127.0.0.1:0", "`address` of ADS")
	steps := flags.String("steps", "127.0.0.1:0", "`address` of the steps, in HTTP")
	proxy := flags.String("proxy", "127.0.0.1:10000", "`address` that the proxy is to listen on")
	flags.IntVar(&size.Clusters, "clusters", 10_000, "`number` of clusters, and of routes")
	flags.IntVar(&size.Endpoints, "endpoints", 5, "`number` of endpoints of each cluster")
	flags.IntVar(&size.Routes, "routes", 10, "`number` of routes of each virtual host")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(*proxy)
	if err != nil || size.Clusters < 1 || size.Endpoints < 1 || size.Routes < 1 {
		return usagef(stderr, "want an address of the proxy and at least one of each, got %s and %+v", *proxy, size)
	}
	ads, err := net.Listen("tcp", *xds)
	if err != nil {
		return err
	}
	http, err := net.Listen("tcp", *steps)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "ADS on %s, steps on %s\n", ads.Addr(), http.Addr())
	return bulk.New(size, at).Serve(ctx, ads, http)
}
