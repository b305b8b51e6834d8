package http2

import (
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

const (
	// maxIdleStreams bounds the streams kept for reuse per worker: two sides of what a busy worker has in flight.
	maxIdleStreams = 2048
	// maxIdleArena is the arena that a stream keeps when it is put aside. Most heads fit.
	maxIdleArena = 2 << 10
)

// Env is what the HTTP/2 connections of one worker have in common. It belongs to the loop's thread.
type Env struct {
	loop    *eventloop.Loop
	control controlFrames
	pieces  pieces
	idle    []*Stream
	// Jitter returns a random number below n, for spreading keep-alives.
	jitter func(n int64) int64
}

// NewEnv returns the common part of a worker's connections. jitter returns a random number from 0 up to but not including
// its argument, which is positive.
func NewEnv(loop *eventloop.Loop, jitter func(int64) int64) *Env {
	e := &Env{loop: loop, pieces: pieces{loop: loop}, jitter: jitter}
	e.control.init()
	return e
}

// get returns a stream, empty but for the capacity of its buffers.
func (e *Env) get() *Stream {
	n := len(e.idle)
	if n == 0 {
		return &Stream{}
	}
	s := e.idle[n-1]
	e.idle[n-1] = nil
	e.idle = e.idle[:n-1]
	return s
}

// put takes a stream back that nothing refers to any more.
func (e *Env) put(s *Stream) {
	s.clear()
	if len(e.idle) < maxIdleStreams {
		e.idle = append(e.idle, s)
	}
}
