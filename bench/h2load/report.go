package h2load

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// report is what h2load prints at the end. Counts are of requests: those that errored
// are among the failed ones, and those that timed out among the errored.
type report struct {
	elapsed                                                    time.Duration
	total, started, done, succeeded, failed, errored, timedOut uint64
	status2xx, status3xx, status4xx, status5xx                 uint64
	data                                                       uint64 // bytes of bodies
	min, max, mean, sd                                         time.Duration
}

// line reads one kind of line of the report.
type line struct {
	prefix string
	read   func(r *report, text string) error
}

// lines are those that every report has, once.
func lines() []line {
	return []line{
		{"finished in ", (*report).readElapsed},
		{"requests: ", (*report).readRequests},
		{"status codes: ", (*report).readStatus},
		{"traffic: ", (*report).readTraffic},
		{"time for request: ", (*report).readLatency},
	}
}

// Parse reads the output of a run.
func Parse(output []byte) (load.Result, error) {
	var r report
	seen := make(map[string]bool)
	text := bufio.NewScanner(bytes.NewReader(output))
	for text.Scan() {
		for _, l := range lines() {
			rest, ok := strings.CutPrefix(text.Text(), l.prefix)
			if !ok {
				continue
			}
			if seen[l.prefix] {
				return load.Result{}, fmt.Errorf("h2load: more than one line %q", l.prefix)
			}
			seen[l.prefix] = true
			if err := l.read(&r, rest); err != nil {
				return load.Result{}, fmt.Errorf("h2load: line %q: %w", text.Text(), err)
			}
		}
	}
	if err := text.Err(); err != nil {
		return load.Result{}, fmt.Errorf("h2load: read output: %w", err)
	}
	for _, l := range lines() {
		if !seen[l.prefix] {
			return load.Result{}, fmt.Errorf("h2load: no line %q in output %q", l.prefix, output)
		}
	}
	return r.result()
}

func (r *report) readElapsed(text string) (err error) {
	elapsed, _, _ := strings.Cut(text, ",")
	r.elapsed, err = parseDuration(elapsed)
	return err
}

func (r *report) readRequests(text string) error {
	_, err := fmt.Sscanf(text, "%d total, %d started, %d done, %d succeeded, %d failed, %d errored, %d timeout",
		&r.total, &r.started, &r.done, &r.succeeded, &r.failed, &r.errored, &r.timedOut)
	return err
}

func (r *report) readStatus(text string) error {
	_, err := fmt.Sscanf(text, "%d 2xx, %d 3xx, %d 4xx, %d 5xx", &r.status2xx, &r.status3xx, &r.status4xx, &r.status5xx)
	return err
}

// readTraffic takes the exact count at the end: "6.10MB (6400000) data".
func (r *report) readTraffic(text string) error {
	_, err := fmt.Sscanf(text[strings.LastIndexByte(text, '(')+1:], "%d) data", &r.data)
	return err
}

func (r *report) readLatency(text string) error {
	columns := strings.Fields(text)
	into := []*time.Duration{&r.min, &r.max, &r.mean, &r.sd}
	if len(columns) < len(into) {
		return fmt.Errorf("%d columns, want min, max, mean, sd", len(columns))
	}
	for i, d := range into {
		var err error
		if *d, err = parseDuration(columns[i]); err != nil {
			return err
		}
	}
	return nil
}

// parseDuration reads a duration as h2load prints it, in s, ms or us.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		return 0, fmt.Errorf("duration %s is negative", text)
	}
	return d, err
}

// result holds the counts against each other: a report that does not add up is none.
// Every request that was asked for and not answered counts as a read error, whatever
// it failed at: h2load tells no more.
func (r report) result() (load.Result, error) {
	switch {
	case r.elapsed <= 0:
		return load.Result{}, fmt.Errorf("h2load: finished in %v", r.elapsed)
	case r.errored > r.failed || r.timedOut > r.errored || r.succeeded > r.total || r.total-r.succeeded != r.failed:
		return load.Result{}, fmt.Errorf("h2load: %d total, %d succeeded, %d failed, %d errored, %d timeout do not add up",
			r.total, r.succeeded, r.failed, r.errored, r.timedOut)
	}
	return load.Result{
		Requests: r.total - r.errored,
		Bytes:    r.data,
		Elapsed:  r.elapsed,
		Min:      r.min,
		Max:      r.max,
		Mean:     r.mean,
		SD:       r.sd,
		Errors: load.Errors{
			Read:    r.errored - r.timedOut,
			Timeout: r.timedOut,
			Status:  r.status3xx + r.status4xx + r.status5xx,
		},
	}, nil
}
