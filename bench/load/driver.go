package load

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// leastBeat is the shortest time between two looks at what is due. Requests of a higher rate are due together, those of a
	// beat at its end.
	leastBeat = 250 * time.Microsecond
	// sweepEvery is how often requests are looked for that have taken longer than Timeout.
	sweepEvery = 500 * time.Millisecond
	// receiveBuffer is what a connection of HTTP/1.1 reads at a time.
	receiveBuffer = 64 << 10
	// windowSize is that of streams and connections: more than a loopback has in flight, so that the client holds nobody back.
	windowSize = 1<<24 - 1
	// headKilobytes and headFields bound the head of a response of HTTP/2.
	headKilobytes, headFields = 60, 100
)

// slot is room for a request: a connection, or a stream of one.
type slot interface {
	// send sends a request that was due at a time of the loop's clock. The slot is released when it is over, either way.
	send(due int64)
	// expire ends a request that was due before a time.
	expire(before int64)
}

// driver makes its part of the load on an event loop. It belongs to the loop's thread.
type driver struct {
	shared   *run
	loop     *eventloop.Loop
	clock    func() int64
	env      *http2.Env
	options  *http2.Options
	block    *stats.Block
	buffer   []byte // that connections of HTTP/1.1 read into
	slots    []slot
	free     queue              // slots that wait for a request to be due
	requests [][]byte           // of HTTP/1.1, by path
	heads    []*message.Request // of HTTP/2, by path
	sent     int                // requests, to choose the path of the next
	inFlight int
	sweep    eventloop.Timer

	// Of a given rate: the time between two requests and between two beats, and when the first is due, in nanoseconds.
	interval float64
	beat     int64
	first    int64 // beat, on the loop's clock
	started  int64
	due      int64 // number of the request that is due next, from 0
	stopping bool
	// idle is called when it has stopped and nothing is in flight any more, in place of the loop's end; nil but for Slices.
	idle func()
	// ended says that it was called for the slice.
	ended bool
}

// newDriver makes driver i of n.
func newDriver(r *run, i, n int) (*driver, error) {
	base := time.Now()
	d := &driver{shared: r, clock: func() int64 { return int64(time.Since(base)) }, buffer: make([]byte, receiveBuffer)}
	loop, err := eventloop.New(eventloop.Options{Clock: d.clock})
	if err != nil {
		return nil, err
	}
	d.loop = loop
	for _, path := range r.paths {
		c := r.config
		c.Path = path
		d.requests = append(d.requests, append(appendRequest(nil, c, len(r.body)), r.body...))
	}
	if r.config.Rate > 0 {
		d.interval = float64(time.Second) * float64(n) / r.config.Rate
		d.beat = max(int64(d.interval), int64(leastBeat))
	}
	for k := i; k < r.config.Connections; k += n {
		switch {
		case r.config.HTTP2:
			d.addHTTP2()
		case r.config.WebSocket:
			d.addWebSocket()
		default:
			d.addHTTP1(k)
		}
	}
	return d, nil
}

// codec makes what connections of HTTP/2 have in common.
func (d *driver) codec() {
	o := config.DefaultHTTP2()
	o.StreamWindow, o.ConnWindow, o.MaxStreams = windowSize, windowSize, maxStreams
	d.env, d.options = http2.NewEnv(d.loop, rand.Int64N), http2.OptionsOf(&o, headKilobytes, headFields)
	store := stats.NewStore(stats.Options{})
	shard := store.NewShard(d.loop.Post)
	d.block = shard.Block(store.Scope("http2.", stats.HTTP2Codec))
}

// run makes load until ctx ends or all requests are sent, and until those in flight are over.
func (d *driver) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.loop.Post(d.stop) })
	defer stop()
	d.first = d.clock()
	if d.idle == nil {
		d.loop.Post(d.begin)
	}
	beating := make(chan struct{})
	if d.beat > 0 {
		go d.pace(beating)
	} else {
		close(beating)
	}
	err := d.loop.Run()
	<-beating
	return err
}

// resume begins a slice.
func (d *driver) resume() {
	d.stopping, d.ended, d.due, d.free = false, false, 0, queue{}
	d.begin()
}

// begin has every slot take a request, or wait for one that is due.
func (d *driver) begin() {
	if d.shared.config.HTTP2 && d.env == nil {
		d.codec()
	}
	d.started = d.loop.Now()
	if d.beat > 0 {
		d.started = d.lastBeat(d.started)
	}
	d.loop.SetTimer(&d.sweep, sweepEvery, d)
	for _, s := range d.slots {
		d.release(s)
	}
}

// stop has no more requests sent.
func (d *driver) stop() {
	if d.stopping {
		return
	}
	if d.beat > 0 {
		d.look()
		for ; d.dueAt(d.due) <= d.clock() && d.shared.take(); d.due++ {
			d.shared.unsent.Add(1)
		}
	}
	d.stopping = true
	d.end()
}

// end ends the loop, or the slice, when nothing is in flight any more.
func (d *driver) end() {
	switch {
	case !d.stopping || d.inFlight > 0:
	case d.idle == nil:
		d.loop.Stop()
	case !d.ended:
		d.ended = true
		d.idle()
	}
}

// pace has the loop look every beat at what is due. The kernel's timer is precise where those of the runtime and of the loop
// are of a millisecond.
func (d *driver) pace(done chan<- struct{}) {
	defer close(done)
	look := d.look
	for next := d.first; ; next = max(next+d.beat, d.lastBeat(d.clock())) {
		if wait := next - d.clock(); wait > 0 {
			pause := unix.NsecToTimespec(wait)
			unix.Nanosleep(&pause, nil) // one that is cut short is a look too early
		}
		if !d.loop.Post(look) {
			return
		}
	}
}

// lastBeat returns the beat at a time, or the one before it. What is due at a beat is looked for at that beat: beats of another phase would
// have all of it late by the difference.
func (d *driver) lastBeat(at int64) int64 { return at - (at-d.first)%d.beat }

// dueAt is when request k is due: at the end of its beat.
func (d *driver) dueAt(k int64) int64 {
	beats := int64(float64(k) * d.interval / float64(d.beat))
	return d.started + (beats+1)*d.beat
}

// look sends what is due, as far as there are slots.
func (d *driver) look() {
	for !d.stopping && !d.free.empty() && d.dueAt(d.due) <= d.loop.Now() {
		d.send(d.free.pop(), d.dueAt(d.due))
	}
}

// send has s send a request.
func (d *driver) send(s slot, due int64) {
	if !d.shared.take() {
		d.stopping = true
		d.end()
		return
	}
	d.due++
	d.inFlight++
	s.send(due)
}

// release gives a slot back that has nothing in flight.
func (d *driver) release(s slot) {
	switch {
	case d.stopping:
		d.end()
	case d.beat == 0:
		d.send(s, d.loop.Now())
	case d.dueAt(d.due) <= d.loop.Now():
		d.send(s, d.dueAt(d.due))
	default:
		d.free.push(s)
	}
}

// over counts requests that are no longer in flight.
func (d *driver) over(requests int) { d.inFlight -= requests }

// record counts the latency of a request.
func (d *driver) record(due int64) { d.shared.latency.Record(time.Duration(d.loop.Now() - due)) }

// next chooses among the paths.
func (d *driver) next() int {
	d.sent++
	return d.sent % len(d.requests)
}

// Expired looks for requests that take too long. It implements eventloop.Expirer.
func (d *driver) Expired(*eventloop.Timer) {
	before := d.loop.Now() - int64(Timeout)
	for _, s := range d.slots {
		s.expire(before)
	}
	d.loop.SetTimer(&d.sweep, sweepEvery, d)
}

// queue is first in, first out.
type queue struct {
	slots []slot
	head  int
}

func (q *queue) empty() bool { return q.head == len(q.slots) }

func (q *queue) push(s slot) {
	if q.head > 0 && len(q.slots) == cap(q.slots) {
		q.slots = q.slots[:copy(q.slots, q.slots[q.head:])]
		q.head = 0
	}
	q.slots = append(q.slots, s)
}

func (q *queue) pop() slot {
	s := q.slots[q.head]
	q.head++
	return s
}
