package h2load

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

const output = `starting benchmark...
spawning thread #0: 8 total client(s). 400000 total requests
Application protocol: h2c
progress: 100% done

finished in 2.16s, 184953.82 req/s, 7.76MB/s
requests: 400000 total, 400000 started, 400000 done, 400000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 400000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 16.79MB (17601144) total, 3.82MB (4000952) headers (space savings 93.50%), 6.10MB (6400000) data
                     min         max         mean         sd        +/- sd
time for request:      878us      6.60ms      2.73ms       308us    90.08%
time for connect:      309us      1.99ms      1.08ms       568us    75.00%
time to 1st byte:     2.82ms      5.07ms      4.16ms       733us    75.00%
req/s           :   23127.13    23137.41    23133.69        3.45    62.50%
`

// died is the report of a server that died after 281,600 of 600,000 requests.
const died = `finished in 1.49s, 188831.70 req/s, 7.92MB/s
requests: 600000 total, 282112 started, 281600 done, 281600 succeeded, 318400 failed, 318400 errored, 0 timeout
status codes: 281600 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 11.82MB (12391544) total, 2.69MB (2816952) headers (space savings 93.50%), 4.30MB (4505600) data
time for request:      453us      6.81ms      2.67ms       285us    93.57%
`

// mixed has answers of every kind, and requests that timed out.
const mixed = `finished in 712.31ms, 100.00 req/s, 7.92MB/s
requests: 100 total, 100 started, 100 done, 60 succeeded, 40 failed, 15 errored, 5 timeout
status codes: 50 2xx, 10 3xx, 20 4xx, 5 5xx
traffic: 0B (0) total, 0B (0) headers (space savings 0.00%), 0B (12) data
time for request:        0us      3.37s      1.00s         0us   100.00%
`

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, output string
		want         load.Result
	}{
		{"whole", output, load.Result{
			Requests: 400000, Bytes: 6400000, Elapsed: 2160 * time.Millisecond,
			Min: 878 * time.Microsecond, Max: 6600 * time.Microsecond, Mean: 2730 * time.Microsecond, SD: 308 * time.Microsecond,
		}},
		{"died", died, load.Result{
			Requests: 281600, Bytes: 4505600, Elapsed: 1490 * time.Millisecond,
			Min: 453 * time.Microsecond, Max: 6810 * time.Microsecond, Mean: 2670 * time.Microsecond, SD: 285 * time.Microsecond,
			Errors: load.Errors{Read: 318400},
		}},
		{"mixed", mixed, load.Result{
			Requests: 85, Bytes: 12, Elapsed: 712310 * time.Microsecond, Max: 3370 * time.Millisecond, Mean: time.Second,
			Errors: load.Errors{Read: 10, Timeout: 5, Status: 35},
		}},
	} {
		if got, err := Parse([]byte(test.output)); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	change := func(old, now string) string {
		if !strings.Contains(output, old) {
			t.Fatalf("no %q in the output", old)
		}
		return strings.Replace(output, old, now, 1)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"no requests":    change("requests: 4", "request: 4"),
		"no status":      change("status codes", "statuses"),
		"no traffic":     change("traffic", "bytes"),
		"no latency":     change("time for request", "time of request"),
		"two reports":    output + output,
		"zero duration":  change("2.16s", "0us"),
		"negative":       change("2.16s", "-2.16s"),
		"no unit":        change("2.16s", "2.16"),
		"lost requests":  change("400000 total, 400000 started", "400001 total, 400001 started"),
		"errors of none": change("0 errored", "1 errored"),
		"timeout only":   change("0 timeout", "1 timeout"),
		"not a count":    change("400000 succeeded", "-1 succeeded"),
		"no data":        change("(6400000)", "(x)"),
		"short latency":  change("2.73ms       308us    90.08%", ""),
	} {
		if got, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

// TestEveryTruncationFails cuts the report before its last line that is read.
func TestEveryTruncationFails(t *testing.T) {
	for n := range strings.Index(output, "time for request") {
		if got, err := Parse([]byte(output[:n])); err == nil {
			t.Errorf("%d bytes: got %+v, want an error", n, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(output))
	f.Add([]byte(died))
	f.Add([]byte(mixed))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err == nil && (r.Elapsed <= 0 || r.Min < 0 || r.Max < 0 || r.Mean < 0 || r.SD < 0) {
			t.Errorf("%q: %+v", text, r)
		}
	})
}

func TestArgs(t *testing.T) {
	config := load.Config{
		Address: "127.0.0.1:1", Path: "/16", Headers: []string{"a: b"}, HTTP2: true,
		Connections: 2, Streams: 64, Duration: 1500 * time.Millisecond,
	}
	common := []string{"--threads=2", "--clients=2", "--max-concurrent-streams=64",
		"--window-bits=24", "--connection-window-bits=24", "--connection-inactivity-timeout=10s"}
	want := append(slices.Clone(common), "--duration=2s", "--header=a: b", "http://127.0.0.1:1/16")
	if got := Args(config, 8); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	config.Requests, config.BodyFile = 1000, "message"
	want = append(slices.Clone(common), "--requests=1000", "--data=message", "--header=a: b", "http://127.0.0.1:1/16")
	if got := Args(config, 8); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	config.TLS = true
	if got := Args(config, 8); got[len(got)-1] != "https://127.0.0.1:1/16" {
		t.Errorf("under TLS %q is asked for", got[len(got)-1])
	}
	if got := Args(config, 0); got[0] != "--threads=1" {
		t.Errorf("%s, want one thread", got[0])
	}
}
