package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
)

const (
	// holdTimeout bounds the opening of all connections.
	holdTimeout = time.Minute
	// settlePoll is the pause between two readings of a process's memory.
	settlePoll = 250 * time.Millisecond
	// settleReadings that agree make the memory settled: two seconds of them, which
	// spans the pauses of a collector that returns memory in the background.
	settleReadings = 8
	// settleTolerance is how far they may differ, as a fraction of the largest.
	settleTolerance = 0.005
	// settleTimeout bounds the wait; the last reading counts then.
	settleTimeout = 20 * time.Second
)

// Lines between the lab and its holder of connections or streams, see the sub-commands
// idle and stall: it prints HoldReady when all are open; at the end of its input it
// prints HoldClosed and the number of those it has lost, and exits.
const (
	HoldReady  = "ready"
	HoldClosed = "closed"
)

// memory measures how much the proxy's memory grows with open connections or stalled
// streams. It is warmed up with load before, so that what it allocates once is not
// counted.
func (l *lab) memory(ctx context.Context, s Scenario, p *runningProxy, r *Round) error {
	if _, err := l.warmUp(ctx, s.small(), p); err != nil {
		return err
	}
	var err error
	if r.BaseRSS, err = settledRSS(ctx, p); err != nil {
		return err
	}
	h, err := l.hold(ctx, s, p.address)
	if err != nil {
		return err
	}
	r.AfterRSS, err = settledRSS(ctx, p)
	return errors.Join(err, h.release(ctx))
}

// holdArgs makes the command line of the sub-command that holds what the scenario says.
func holdArgs(s Scenario, address string) []string {
	common := []string{"--address", address, "--path", s.Path, "--connections", strconv.Itoa(s.Connections)}
	switch {
	case s.Measure == Stalled:
		return append([]string{"stall", "--streams", strconv.Itoa(s.Streams)}, common...)
	case s.http2():
		return append([]string{"idle", "--http2"}, common...)
	}
	if s.Traffic.TLS {
		common = append(common, "--tls")
	}
	return append([]string{"idle"}, common...)
}

// settledRSS reads the proxy's memory until it stays the same.
func settledRSS(ctx context.Context, p *runningProxy) (int64, error) {
	deadline := time.NewTimer(settleTimeout)
	defer deadline.Stop()
	poll := time.NewTicker(settlePoll)
	defer poll.Stop()
	var window []int64
	for {
		rss, err := p.rss()
		if err != nil {
			return 0, err
		}
		window = append(window, rss)
		if settled(window) {
			return rss, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-deadline.C:
			return rss, nil
		case <-poll.C:
		}
	}
}

// settled says whether the last settleReadings of window agree.
func settled(window []int64) bool {
	if len(window) < settleReadings {
		return false
	}
	low, high := window[len(window)-1], window[len(window)-1]
	for _, x := range window[len(window)-settleReadings:] {
		low, high = min(low, x), max(high, x)
	}
	return float64(high-low) <= settleTolerance*float64(high)
}

// holder is a process that holds idle connections or stalled streams.
type holder struct {
	child  *child.Child
	output *lineReader
}

// hold starts the holder and waits until all are open.
func (l *lab) hold(ctx context.Context, s Scenario, address string) (*holder, error) {
	h := &holder{output: newLineReader()}
	var err error
	h.child, err = l.spawner.Start(child.Spec{
		Path:   l.options.Self,
		Args:   holdArgs(s, address),
		CPUs:   l.machine.LoadCPUs,
		Stdout: h.output,
		Stdin:  true,
	})
	if err != nil {
		return nil, err
	}
	line, err := h.line(ctx, holdTimeout)
	if err == nil && line != HoldReady {
		err = fmt.Errorf("holder: %q, want %q", line, HoldReady)
	}
	if err != nil {
		return nil, errors.Join(err, h.child.Stop())
	}
	return h, nil
}

// release has the holder close what it holds, and fails when the proxy has ended any
// of it before.
func (h *holder) release(ctx context.Context) error {
	h.child.CloseStdin()
	line, err := h.line(ctx, holdTimeout)
	if err == nil && line != HoldClosed+" 0" {
		err = fmt.Errorf("connections or streams that the proxy did not keep: %q", line)
	}
	return errors.Join(err, h.child.Stop())
}

// line returns the next line of the holder's output.
func (h *holder) line(ctx context.Context, limit time.Duration) (string, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case line := <-h.output.lines:
		return line, nil
	case <-h.child.Done():
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "", h.child.Failure(fmt.Sprintf("no word within %v", limit))
	}
	select {
	case line := <-h.output.lines: // written just before the end
		return line, nil
	default:
		return "", h.child.Failure(fmt.Sprintf("ended: %v", h.child.Err()))
	}
}

// lineReader is a writer that turns what is written into lines. It takes the few of
// the holder's dialogue; more are an error.
type lineReader struct {
	lines chan string
	rest  []byte
}

// maxLines and maxLine bound a dialogue.
const (
	maxLines = 4
	maxLine  = 1 << 10
)

func newLineReader() *lineReader { return &lineReader{lines: make(chan string, maxLines)} }

// Write never blocks and keeps no reference to p.
func (r *lineReader) Write(p []byte) (int, error) {
	r.rest = append(r.rest, p...)
	for {
		line, rest, ok := bytes.Cut(r.rest, []byte("\n"))
		if !ok {
			break
		}
		select {
		case r.lines <- strings.TrimSpace(string(line)):
		default:
			return 0, io.ErrShortWrite
		}
		r.rest = append(r.rest[:0], rest...)
	}
	if len(r.rest) > maxLine {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}
