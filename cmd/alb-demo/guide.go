package main

import (
	"fmt"
	"io"
	"strings"
)

// guide is what to try, in the order in which it makes sense. @names are filled in by writeGuide.
const guide = `
proxy-alb is ready: two origins, blue and green, behind http://@traffic

send a request                curl -i http://@traffic/
the other origin              curl -i http://@traffic/green
what the origin is sent       curl http://@traffic/headers
errors, delays, bodies        curl http://@traffic/status/503   /delay/250ms   /bytes/1048576   /echo   /ws

shift 80 % to green           @self weight hello blue=20 green=80
  the same with grpcurl       grpcurl -plaintext -d '{"route_name":"hello","weights":[{"backend_name":"blue","weight":20},{"backend_name":"green","weight":80}]}' \
                                @grpc marchproxy.ModuleService/SetTrafficWeight
  watch it                    for i in $(seq 100); do curl -s http://@traffic/; done | sort | uniq -c
  and back                    @self weight hello

limit to 5 requests/s         @self limit hello 5
  the same with grpcurl       grpcurl -plaintext -d '{"route_name":"hello","config":{"requests_per_second":5,"burst_size":5,"enabled":true}}' \
                                @grpc marchproxy.ModuleService/ApplyRateLimit
  watch it                    for i in $(seq 20); do curl -s -o /dev/null -w '%{http_code}\n' http://@traffic/; done | sort | uniq -c
  and off                     @self limit hello off

see the configuration         curl http://@api/v1/config
change it while it runs       curl -s http://@api/v1/config | sed 's/"prefix":"\/green"/"prefix":"\/verde"/' | curl -d @- http://@api/v1/config
                              curl -i http://@traffic/verde

admin                         http://@admin/
metrics                       http://@metrics/metrics
health                        http://@health/healthz

Ctrl-C stops everything.

`

// writeGuide prints the guide with the addresses in use.
func writeGuide(w io.Writer, opts *options, apiAddr string) {
	self := "bin/alb-demo"
	grpc := opts.local(grpcPort)
	fill := strings.NewReplacer(
		"@self weight", self+command("weight", grpc),
		"@self limit", self+command("limit", grpc),
		"@traffic", opts.local(trafficPort),
		"@admin", opts.local(adminPort),
		"@grpc", grpc,
		"@metrics", opts.local(metricsPort),
		"@health", opts.local(healthPort),
		"@api", apiAddr,
	)
	fmt.Fprint(w, fill.Replace(guide))
}

// command returns a subcommand with the flag it needs to find the proxy.
func command(name, grpcAddr string) string {
	if grpcAddr == defaultGRPCAddr {
		return " " + name
	}
	return " " + name + " --grpc " + grpcAddr
}
