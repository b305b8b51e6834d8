// Package wrk drives the load generator wrk: it makes its command line and reads
// its result. A script has wrk print its counters as JSON, exact and with units
// that do not vary, instead of the rounded text meant for people.
package wrk

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// Script is the Lua program that Args names. It defines only done, which wrk calls
// once after the run: wrk keeps its fast path, that of a request which never
// changes and of responses nobody looks at.
//
//go:embed result.lua
var Script []byte

// marker begins the one line of output that is the result.
const marker = "alb-bench-result "

// Args returns wrk's arguments for config. The duration is rounded up to the whole
// seconds that wrk understands. There is a thread per threads, but never more than
// connections, as wrk refuses that. It does not say which handshakes of TLS it resumes.
func Args(config load.Config, threads int, script string) []string {
	seconds := int64((config.Duration + time.Second - 1) / time.Second)
	args := []string{
		"--threads", strconv.Itoa(max(1, min(threads, config.Connections))),
		"--connections", strconv.Itoa(config.Connections),
		"--duration", strconv.FormatInt(seconds, 10) + "s",
		"--timeout", strconv.Itoa(int(load.Timeout/time.Second)) + "s",
		"--script", script,
	}
	for _, h := range config.Headers {
		args = append(args, "--header", h)
	}
	if config.NewConnections {
		args = append(args, "--header", "Connection: close")
	}
	return append(args, config.URL())
}

// report is what Script prints, latencies and duration in microseconds.
type report struct {
	Duration *float64 `json:"duration_us"`
	Requests *float64 `json:"requests"`
	Bytes    float64  `json:"bytes"`
	Min      float64  `json:"min_us"`
	Mean     float64  `json:"mean_us"`
	SD       float64  `json:"sd_us"`
	P50      float64  `json:"p50_us"`
	P90      float64  `json:"p90_us"`
	P99      float64  `json:"p99_us"`
	P999     float64  `json:"p999_us"`
	Max      float64  `json:"max_us"`
	Connect  uint64   `json:"connect"`
	Read     uint64   `json:"read"`
	Write    uint64   `json:"write"`
	Timeout  uint64   `json:"timeout"`
	Status   uint64   `json:"status"`
}

// Parse reads the output of a run with Script. wrk's status errors are those above
// 399; its latencies are corrected for coordinated omission, which those of
// package load are not.
func Parse(output []byte) (load.Result, error) {
	var found []byte
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		line, ok := bytes.CutPrefix(lines.Bytes(), []byte(marker))
		if !ok {
			continue
		}
		if found != nil {
			return load.Result{}, fmt.Errorf("wrk: more than one result line")
		}
		found = bytes.Clone(line)
	}
	if err := lines.Err(); err != nil {
		return load.Result{}, fmt.Errorf("wrk: read output: %w", err)
	}
	if found == nil {
		return load.Result{}, fmt.Errorf("wrk: no result line in output %q", output)
	}
	var r report
	if err := json.Unmarshal(found, &r); err != nil {
		return load.Result{}, fmt.Errorf("wrk: result line %q: %w", found, err)
	}
	if r.Duration == nil || *r.Duration <= 0 || r.Requests == nil || *r.Requests < 0 {
		return load.Result{}, fmt.Errorf("wrk: result line %q: want a positive duration_us and requests", found)
	}
	return r.result(), nil
}

func (r report) result() load.Result {
	return load.Result{
		Requests: uint64(*r.Requests),
		Bytes:    uint64(r.Bytes),
		Elapsed:  micros(*r.Duration),
		Min:      micros(r.Min),
		Mean:     micros(r.Mean),
		SD:       micros(r.SD),
		P50:      micros(r.P50),
		P90:      micros(r.P90),
		P99:      micros(r.P99),
		P999:     micros(r.P999),
		Max:      micros(r.Max),
		Errors:   load.Errors{Connect: r.Connect, Read: r.Read, Write: r.Write, Timeout: r.Timeout, Status: r.Status},
	}
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }
