// Package h2load drives the HTTP/2 load generator h2load of nghttp2: it makes its
// command line and reads its report.
package h2load

import (
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// windowBits make windows of 16 MiB less a byte, per stream and per connection: more
// than a loopback ever has in flight, so that the client holds no proxy back.
const windowBits = "24"

// Args returns h2load's arguments for config, HTTP/2 under TLS by ALPN or in
// cleartext with prior knowledge. There is a thread per threads, but never more than connections, as
// h2load refuses that.
//
// With config.Requests that many are made, however long it takes; that is the mode
// for measurements. In its mode for a duration h2load 1.52 forgets the requests of a
// connection that breaks: the report of a server that died half-way has no failures.
// A request log has every latency, but h2load writes it request by request and then
// makes a third less load, so latency is what the report says: no quantiles.
func Args(config load.Config, threads int) []string {
	args := []string{
		"--threads=" + strconv.Itoa(max(1, min(threads, config.Connections))),
		"--clients=" + strconv.Itoa(config.Connections),
		"--max-concurrent-streams=" + strconv.Itoa(max(1, config.Streams)),
		"--window-bits=" + windowBits,
		"--connection-window-bits=" + windowBits,
		"--connection-inactivity-timeout=" + seconds(load.Timeout),
	}
	if config.Requests > 0 {
		args = append(args, "--requests="+strconv.FormatUint(config.Requests, 10))
	} else {
		args = append(args, "--duration="+seconds(config.Duration))
	}
	if config.BodyFile != "" {
		args = append(args, "--data="+config.BodyFile)
	}
	for _, h := range config.Headers {
		args = append(args, "--header="+h)
	}
	return append(args, config.URL())
}

// seconds rounds up: h2load takes other units too, but has no use for parts of a
// second here.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10) + "s"
}
