package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Slices makes load now and then, over connections that stay open between: what is measured by turns with something else is
// measured in short slices, and in each with what is there already. It belongs to one goroutine.
type Slices struct {
	run    *run
	total  Result // of the slices so far
	idle   chan struct{}
	loops  sync.WaitGroup
	failed chan error
}

// errSliceEnded is for a loop that is over.
var errSliceEnded = errors.New("load: an event loop has ended")

// sliceGrace is what requests in flight may take at the end of a slice: they time out, and that is looked for now and then.
const sliceGrace = Timeout + 4*sweepEvery

// OpenSlices starts the event loops. Connections are opened in the first slice. Duration and Requests of config do not count.
func OpenSlices(config Config) (*Slices, error) {
	config.Duration, config.Requests = time.Second, 0
	r, err := newRun(config)
	if err != nil {
		return nil, err
	}
	s := &Slices{run: r, idle: make(chan struct{}, len(r.drive)), failed: make(chan error, len(r.drive))}
	for _, d := range r.drive {
		d.stopping, d.idle = true, func() { s.idle <- struct{}{} }
		s.loops.Go(func() { s.failed <- d.run(context.Background()) })
	}
	return s, nil
}

// Make makes load for a time, lets requests in flight finish and returns what it saw, but for latencies. After an error the slices
// are of no more use but to be closed.
func (s *Slices) Make(ctx context.Context, duration time.Duration) (Result, error) {
	began := time.Now()
	for _, d := range s.run.drive {
		if !d.loop.Post(d.resume) {
			return Result{}, errSliceEnded
		}
	}
	end := time.NewTimer(duration)
	defer end.Stop()
	select {
	case <-end.C:
	case <-ctx.Done():
	}
	for _, d := range s.run.drive {
		d.loop.Post(d.stop)
	}
	late := time.NewTimer(sliceGrace)
	defer late.Stop()
	for range s.run.drive {
		select {
		case <-s.idle:
		case err := <-s.failed:
			return Result{}, errors.Join(errSliceEnded, err)
		case <-late.C:
			return Result{}, fmt.Errorf("load: requests in flight are not over within %v", sliceGrace)
		}
	}
	return s.since(time.Since(began)), ctx.Err()
}

// since returns what has come since the slice before.
func (s *Slices) since(elapsed time.Duration) Result {
	total := s.run.result(elapsed)
	before := s.total
	s.total = total
	e, b := total.Errors, before.Errors
	return Result{
		Requests: total.Requests - before.Requests, Bytes: total.Bytes - before.Bytes, Sent: total.Sent - before.Sent, Elapsed: elapsed,
		Resumed: total.Resumed - before.Resumed, Limited: total.Limited - before.Limited, Unsent: total.Unsent - before.Unsent,
		Errors: Errors{
			Connect: e.Connect - b.Connect, Read: e.Read - b.Read, Write: e.Write - b.Write, Timeout: e.Timeout - b.Timeout, Status: e.Status - b.Status,
		},
	}
}

// Close closes the connections and ends the loops.
func (s *Slices) Close() error {
	for _, d := range s.run.drive {
		d.loop.Stop()
	}
	s.loops.Wait()
	var err error
	for range s.run.drive {
		err = errors.Join(err, <-s.failed)
	}
	return err
}
