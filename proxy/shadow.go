package proxy

import (
	"errors"
	"math"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/upstream"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// maxIdleShadows bounds the shadows kept for reuse per worker.
	maxIdleShadows = 64
	// maxShadowBuffer is the largest buffer that a shadow keeps for its next use: heads and small bodies fit.
	maxShadowBuffer = 16 << 10
)

// shadow is a request that is sent to one more cluster because a route mirrors it, while the client is served by another. It has
// a copy of all it needs, because it may outlive the exchange, and nothing that becomes of it reaches the client. It is a job
// of its own, and pooled.
type shadow struct {
	worker *worker

	request  message.Request
	response message.Response
	trailers message.Fields // that came before there was a stream for them
	arena    []byte         // what the messages are made of
	backlog  []byte         // the body that came before there was a stream for it
	lease    upstream.Lease
	timer    eventloop.Timer
	job      eventloop.Job

	shadowState
}

// shadowState is the part of a shadow that begins as zero.
type shadowState struct {
	owner   *exchange // whose request is not whole, nil afterwards
	cluster *upstream.Cluster
	up      upstream.Stream
	grpc    bool

	limit   int           // bytes of the body that may wait
	timeout time.Duration // counted from requestEnd; 0 means none
	idle    time.Duration // without progress; 0 means no bound

	// Time, in nanoseconds on the loop's clock; 0 is unset.
	requestEnd   int64
	lastActivity int64
	armed        int64

	connected     bool
	whole         bool // nothing follows what is sent or in backlog
	trailed       bool // trailers are what follows
	headRead      bool
	behind        bool // too much was waiting in the turn before
	informational int
}

// takeShadow returns a shadow, empty but for the capacity of its buffers.
func (w *worker) takeShadow() *shadow {
	if n := len(w.shadows); n > 0 {
		s := w.shadows[n-1]
		w.shadows[n-1] = nil
		w.shadows = w.shadows[:n-1]
		return s
	}
	return &shadow{worker: w}
}

// putShadow takes a shadow back that has ended.
func (w *worker) putShadow(s *shadow) {
	s.job.Stop()
	w.loop.StopTimer(&s.timer)
	if len(w.shadows) >= maxIdleShadows || cap(s.arena) > maxShadowBuffer || cap(s.backlog) > maxShadowBuffer {
		return
	}
	s.request.Reset()
	s.response.Reset()
	s.trailers.Reset()
	s.arena, s.backlog = s.arena[:0], s.backlog[:0]
	s.lease = upstream.Lease{}
	s.shadowState = shadowState{}
	w.shadows = append(w.shadows, s)
}

// start picks a host and asks it for a connection. It reports whether that is on its way.
func (s *shadow) start() bool {
	w := s.worker
	s.lastActivity = w.loop.Now()
	s.cluster = s.cluster.Member(w.random.Uint64())
	h := s.cluster.Pick()
	if h == nil {
		s.cluster.Stats().Inc(stats.ClusterUpstreamCxNoneHealthy)
		return false
	}
	name, ok := s.serverName()
	if !ok {
		return false
	}
	ask := upstream.Ask{Protocol: s.cluster.Speaks(s.request.Version), Response: &s.response, Name: name}
	switch s.cluster.Acquire(&s.lease, h, &s.job, ask) {
	case upstream.Overflow:
		return false
	case upstream.Failed:
		s.lease.Release(upstream.ServerError, false)
		return false
	}
	s.job.Start(w.loop, s)
	if s.request.EndStream {
		s.ended()
	}
	if !s.lease.Waiting() {
		s.send()
	}
	return true
}

// serverName is that of an exchange.
func (s *shadow) serverName() (name []byte, ok bool) {
	auto := s.cluster.Config().AutoName
	if auto == nil {
		return nil, true
	}
	start := len(s.arena)
	s.arena, ok = appendServerName(s.arena, auto, s.request.Authority, &s.request.Fields)
	return s.arena[start:len(s.arena):len(s.arena)], ok
}

// send sends what there is on the connection that was granted.
func (s *shadow) send() {
	s.up = s.lease.Stream
	s.up.WriteHead(&s.request)
	if s.request.EndStream {
		return
	}
	if len(s.backlog) > 0 {
		s.up.WriteBody(s.backlog, s.whole && !s.trailed)
	}
	switch {
	case s.trailed:
		s.up.WriteEnd(&s.trailers)
	case s.whole && len(s.backlog) == 0:
		s.up.WriteEnd(nil)
	}
	s.backlog = s.backlog[:0]
}

// write passes part of the client's body on. Neither data nor trailers, which may be nil, are kept.
func (s *shadow) write(data []byte, done bool, trailers *message.Fields) {
	s.lastActivity = s.worker.loop.Now()
	if done {
		s.ended()
	}
	if s.up == nil {
		s.backlog = append(s.backlog, data...)
		if done && trailers != nil {
			s.trailed = true
			s.arena = s.trailers.CloneFrom(trailers, s.arena)
		}
		return
	}
	if len(data) > 0 {
		s.up.WriteBody(data, done && trailers == nil)
	}
	if done && (len(data) == 0 || trailers != nil) {
		s.up.WriteEnd(trailers)
	}
}

// ended notes that the request is whole: from here on the shadow is on its own.
func (s *shadow) ended() {
	s.whole, s.owner = true, nil
	s.requestEnd = s.worker.loop.Now()
	s.job.Wake() // to set the timer
}

// waiting returns how many bytes of the body are not on their way.
func (s *shadow) waiting() int {
	if s.up == nil {
		return len(s.backlog)
	}
	return s.up.Pending()
}

// Step implements eventloop.Stepper: it goes on as far as it gets without waiting.
func (s *shadow) Step() {
	whole := false
	defer func() {
		if !whole { // a panic is on its way to the loop
			s.end(upstream.ServerError, false)
		}
	}()
	over, outcome := s.step()
	whole = true
	if over {
		s.end(outcome, s.whole && outcome != upstream.TimedOut && s.headRead)
		return
	}
	s.setTimer()
}

func (s *shadow) step() (over bool, outcome upstream.Outcome) {
	if s.overdue() {
		s.cluster.Stats().Inc(stats.ClusterUpstreamRqTimeout)
		return true, upstream.TimedOut
	}
	if s.lease.Waiting() {
		return false, 0
	}
	if s.up == nil {
		if s.lease.Stream == nil {
			return true, upstream.ServerError // the connection could not be opened, or was refused
		}
		s.send()
	}
	if !s.connected {
		done, err := s.up.Connected()
		if err != nil {
			return true, upstream.ServerError
		}
		s.connected = done
	}
	return s.read()
}

// read takes what there is of the response, and forgets it.
func (s *shadow) read() (over bool, outcome upstream.Outcome) {
	for moved := 0; moved < bytesPerTurn; {
		n, done, err := s.readSome()
		switch {
		case err == eventloop.ErrWouldBlock:
			return false, 0
		case err == errUnwanted:
			s.cluster.Stats().Inc(stats.ClusterUpstreamCxProtocolError)
			return true, upstream.ServerError
		case err != nil:
			responseFailure(err, s.cluster.Stats())
			return true, upstream.ServerError
		case done && s.response.Status >= 500:
			return true, upstream.ServerError
		case done:
			return true, upstream.Success
		}
		s.lastActivity = s.worker.loop.Now()
		moved += n
	}
	s.job.Wake()
	return false, 0
}

// readSome takes the next part of the response. done says that it was the last.
func (s *shadow) readSome() (n int, done bool, err error) {
	if s.headRead {
		data, done, err := s.up.ReadBody()
		if trailers := s.up.Trailers(); done && trailers != nil {
			s.lease.Reported(trailers)
		}
		return len(data), done, err
	}
	if err := s.up.ReadHead(&s.response); err != nil {
		return 0, false, err
	}
	switch status := s.response.Status; {
	case status == 101:
		return 0, false, errUnwanted
	case status < 200:
		if s.informational++; s.informational > maxInformational {
			return 0, false, errUnwanted
		}
		return 0, false, nil
	}
	s.headRead = true
	s.takeHead()
	return 0, s.response.EndStream, nil
}

// errUnwanted is why a response cannot be one to the request: it switches to a protocol that nobody has asked for, or is one of too
// many informational ones.
var errUnwanted = errors.New("unwanted response")

// takeHead takes note of a final response head.
func (s *shadow) takeHead() {
	resp, k := &s.response, s.cluster.Stats()
	s.lease.Answered(judgedStatus(s.cluster, resp, s.grpc))
	s.lease.Reported(&resp.Fields)
	s.worker.passFailureOn(s.cluster, s.lease.Host(), resp)
	took := untimed
	if s.whole {
		took = s.worker.loop.Now() - s.requestEnd
	}
	countResponse(k, resp, s.lease.Host(), internalResponses, took)
}

// end lets go of everything.
func (s *shadow) end(outcome upstream.Outcome, reuse bool) {
	if s.owner != nil {
		s.owner.forgetShadow(s)
	}
	s.lease.Release(outcome, reuse)
	s.worker.putShadow(s)
}

// deadline returns when the first limit on time is reached, math.MaxInt64 when there is none.
func (s *shadow) deadline() int64 {
	at := int64(math.MaxInt64)
	if s.timeout > 0 && s.whole {
		at = s.requestEnd + int64(s.timeout)
	}
	if s.idle > 0 {
		at = min(at, s.lastActivity+int64(s.idle))
	}
	return at
}

func (s *shadow) overdue() bool { return s.deadline() <= s.worker.loop.Now() }

// setTimer has the shadow woken when its time is up. A timer that fires earlier is left alone.
func (s *shadow) setTimer() {
	if at := s.deadline(); at < s.armed || s.armed == 0 && at != math.MaxInt64 {
		s.armed = at
		s.worker.loop.SetTimer(&s.timer, time.Duration(at-s.worker.loop.Now()), s)
	}
}

// Expired implements eventloop.Expirer.
func (s *shadow) Expired(*eventloop.Timer) {
	s.armed = 0
	s.job.Wake()
}
