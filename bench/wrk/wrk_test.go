package wrk

import (
	"slices"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

const output = `Running 2s test @ http://127.0.0.1:20001/16
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.84ms    1.02ms  19.10ms   89.00%
    Req/Sec    22.60k     1.80k   24.92k    70.00%
  45011 requests in 2.01s, 6.39MB read
Requests/sec:  22393.40
Transfer/sec:      3.18MB
alb-bench-result {"duration_us":2010012,"requests":45011,"bytes":6700000,"min_us":600,"mean_us":2840,"sd_us":1020,"p50_us":2800,"p90_us":3500,"p99_us":7100,"p999_us":9000,"max_us":19100,"connect":1,"read":2,"write":3,"timeout":4,"status":5}
`

func TestParse(t *testing.T) {
	want := load.Result{
		Requests: 45011, Bytes: 6700000, Elapsed: 2010012 * time.Microsecond,
		Min: 600 * time.Microsecond, Mean: 2840 * time.Microsecond, SD: 1020 * time.Microsecond,
		P50: 2800 * time.Microsecond, P90: 3500 * time.Microsecond, P99: 7100 * time.Microsecond,
		P999: 9 * time.Millisecond, Max: 19100 * time.Microsecond,
		Errors: load.Errors{Connect: 1, Read: 2, Write: 3, Timeout: 4, Status: 5},
	}
	if got, err := Parse([]byte(output)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"no result":     "unable to connect to 127.0.0.1:1 Connection refused\n",
		"cut":           marker + `{"duration_us":2010012,"requ` + "\n",
		"no duration":   marker + `{"requests":1}` + "\n",
		"zero duration": marker + `{"duration_us":0,"requests":1}` + "\n",
		"no requests":   marker + `{"duration_us":1}` + "\n",
		"negative":      marker + `{"duration_us":1,"requests":-1}` + "\n",
		"not a count":   marker + `{"duration_us":1,"requests":1,"read":-1}` + "\n",
		"not a number":  marker + `{"duration_us":1,"requests":1,"p50_us":-nan}` + "\n",
		"two results":   output + output,
	} {
		if got, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(output))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := Parse(text); err == nil && r.Elapsed < 0 {
			t.Errorf("%q: %+v", text, r)
		}
	})
}

func TestArgs(t *testing.T) {
	config := load.Config{
		Address: "127.0.0.1:1", Path: "/16", Headers: []string{"A: b"},
		Connections: 2, Duration: 1500 * time.Millisecond, NewConnections: true,
	}
	want := []string{
		"--threads", "2", "--connections", "2", "--duration", "2s", "--timeout", "10s", "--script", "s.lua",
		"--header", "A: b", "--header", "Connection: close", "http://127.0.0.1:1/16",
	}
	if got := Args(config, 8, "s.lua"); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	config.TLS = true
	if got := Args(config, 8, "s.lua"); got[len(got)-1] != "https://127.0.0.1:1/16" {
		t.Errorf("under TLS %q is asked for", got[len(got)-1])
	}
	if got := Args(config, 0, "s.lua"); got[1] != "1" {
		t.Errorf("%s threads, want 1", got[1])
	}
}
