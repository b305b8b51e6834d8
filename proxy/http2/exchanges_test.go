package http2

import (
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// driver has a codec on a loop do one exchange after the other, with the loop going round by itself. Neither it nor the peer
// that it plays allocates.
type driver struct {
	r    *rig
	p    *peer
	job  eventloop.Job
	next func() // takes a turn's part in an exchange

	exchanges int    // that are done
	stop      int    // at which the loop stands still
	id        uint32 // of the next stream
	frames    []byte // what the peer sends, for stream 1
	sent      []byte // the same for the stream
	in        []byte // what it reads is dropped
}

// run does n exchanges and returns how many allocations were made meanwhile.
func (d *driver) run(n int) uint64 {
	var before, after runtime.MemStats
	d.stop = d.exchanges + n
	d.job.Start(d.r.loop, d)
	runtime.ReadMemStats(&before)
	d.r.goOn <- struct{}{}
	receive(d.r.t, d.r.standing)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// Step implements eventloop.Stepper: every turn is one step.
func (d *driver) Step() {
	if d.exchanges >= d.stop {
		d.r.stand()
		return
	}
	d.next()
	d.job.Wake()
}

// fail fails the test and ends the run.
func (d *driver) fail(err error) {
	d.r.t.Errorf("exchange %d: %v", d.exchanges, err)
	d.stop = 0
}

// send sends the peer's frames for the next stream.
func (d *driver) send() {
	d.sent = append(d.sent[:0], d.frames...)
	for b := d.sent; len(b) > 0; {
		h := parseFrameHeader(b)
		if h.stream != 0 {
			binary.BigEndian.PutUint32(b[5:], d.id)
		}
		b = b[frameHeaderSize+int(h.length):]
	}
	d.id += 2
	if n, err := unix.Write(d.p.fd, d.sent); n != len(d.sent) {
		d.fail(err)
	}
}

// drop reads what the codec has sent, and reports whether there was something.
func (d *driver) drop() bool {
	n, err := unix.Read(d.p.fd, d.in)
	if n == 0 {
		d.fail(io.EOF)
	}
	return err == nil
}

// shape is what the exchanges of a driver look like.
type shape struct {
	request, response int  // bytes of the bodies, none without one
	trailers          bool // end both
}

// message makes the frames of a message with a head and a body.
func (s *script) message(head string, body int, trailers bool) *script {
	if body == 0 && !trailers {
		return s.raw(http2.FrameHeaders, endHeaders|endStream, 1, head)
	}
	s.raw(http2.FrameHeaders, endHeaders, 1, head)
	for ; body > minMaxFrameSize; body -= minMaxFrameSize {
		s.data(1, 0, string(make([]byte, minMaxFrameSize)))
	}
	if trailers {
		s.data(1, 0, string(make([]byte, body)))
		return s.raw(http2.FrameHeaders, endHeaders|endStream, 1, plainTrailer)
	}
	return s.data(1, endStream, string(make([]byte, body)))
}

// plainTrailer is a field block with grpc-status: 0, without changes of the table.
const plainTrailer = "\x00\x0bgrpc-status\x010"

// plainGET is a field block without changes of the table: method, path and scheme from the static one, the rest literals.
const plainGET = "\x82\x84\x86\x01\x0bexample.com\x0f\x2b\x05agent"

// serveDriver is a driver that asks a server. The server answers with a head, a body and an end.
type serveDriver struct {
	driver
	ServerConn
	stream ServerStream
	serve  eventloop.Job
	req    message.Request
	resp   message.Response
	body   []byte
	asked  bool

	shape
	sum message.Fields // trailers
}

func newServeDriver(t testing.TB, c shape) *serveDriver {
	r := newRig(t)
	raw, fd := r.connect()
	d := &serveDriver{driver: driver{r: r, p: newPeer(r, fd, false), id: 1, in: make([]byte, 1<<20)}}
	d.Init(raw, r.env, testOptions(), r.block, d)
	d.shape, d.sum = c, fieldsOf("grpc-status", "0")
	d.resp = message.Response{
		Status: 200, ContentLength: int64(c.response), EndStream: c.response == 0 && !c.trailers,
		Fields: fieldsOf("server", "x", "content-type", "text/plain"),
	}
	d.body = make([]byte, c.response)
	d.next = d.turn
	d.p.begin(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}).windowUpdate(0, maxWindow/2).turn()
	d.p.take()
	s := newScript().message(plainGET, c.request, c.trailers)
	if c.response > 0 {
		s.windowUpdate(0, uint32(c.response))
	}
	d.frames = s.Bytes()
	return d
}

// turn asks, and reads the answer in a later one.
func (d *serveDriver) turn() {
	switch {
	case !d.asked:
		d.send()
		d.asked = true
	case d.drop() && d.Streams() == 0:
		d.asked = false
		d.exchanges++
	}
}

// serveStep is the job that serves the stream of a serveDriver, whose own job is that of the driver.
type serveStep serveDriver

// Step implements eventloop.Stepper.
func (d *serveStep) Step() {
	for {
		_, done, err := d.stream.ReadBody()
		if done {
			break
		}
		if err != nil {
			return
		}
	}
	d.stream.WriteHead(&d.resp, false)
	if d.trailers {
		d.stream.WriteBody(d.body, false)
		d.stream.WriteEnd(&d.sum)
	} else {
		d.stream.WriteBody(d.body, true)
	}
	d.serve.Stop()
	d.stream.End(true, 0)
}

func (d *serveDriver) Open(s ServerStream) *message.Request {
	d.stream = s
	return &d.req
}

func (d *serveDriver) Serve(s ServerStream) {
	s.SetWaker(&d.serve)
	d.serve.Start(d.r.loop, (*serveStep)(d))
}

func (d *serveDriver) Refuse(_ ServerStream, why Error) { d.fail(why) }
func (d *serveDriver) Gone()                            {}
func (d *serveDriver) Late()                            {}
func (d *serveDriver) Ended(err error)                  { d.fail(err) }

// askDriver is a driver that answers a client. The client sends a head and a body.
type askDriver struct {
	driver
	ClientConn
	stream ClientStream
	req    message.Request
	resp   message.Response
	body   []byte
	step   int

	shape
	sum message.Fields // trailers
}

func newAskDriver(t testing.TB, c shape) *askDriver {
	r := newRig(t)
	raw, fd := r.connect()
	d := &askDriver{driver: driver{r: r, p: newPeer(r, fd, true), id: 1, in: make([]byte, 1<<20)}}
	d.Init(raw, r.env, testOptions(), r.block, d)
	d.shape, d.sum = c, fieldsOf("x", "y")
	d.req = message.Request{
		Method: []byte("GET"), Path: []byte("/"), Authority: []byte("example.com"), EndStream: c.request == 0 && !c.trailers,
		ContentLength: int64(c.request), Fields: fieldsOf("user-agent", "x", "accept", "*/*"),
	}
	d.body = make([]byte, c.request)
	d.next = d.turn
	d.p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow}).settingsAck().windowUpdate(0, maxWindow/2).turn()
	d.p.take()
	s := newScript().message("\x88", c.response, c.trailers)
	if c.request > 0 {
		s.windowUpdate(0, uint32(c.request))
	}
	d.frames = s.Bytes()
	return d
}

// turn asks in one turn, has the host answer in the next, and reads the response when it has come.
func (d *askDriver) turn() {
	switch d.step {
	case 0:
		d.stream = d.Reserve(nopWaker{}, &d.resp)
		d.WriteHead(d.stream, &d.req)
		if d.trailers {
			d.stream.WriteBody(d.body, false)
			d.stream.WriteEnd(&d.sum)
		} else {
			d.stream.WriteBody(d.body, true)
		}
	case 1:
		d.drop()
		d.send()
	case 2:
		if d.stream.ReadHead(&d.resp) != nil {
			return
		}
	default:
		if !d.readBody() {
			return
		}
		d.End(d.stream)
		d.exchanges++
		d.step = -1
	}
	d.step++
}

// readBody reads what has come, and reports whether that was the rest.
func (d *askDriver) readBody() bool {
	for {
		_, done, err := d.stream.ReadBody()
		if done {
			return true
		}
		if err == eventloop.ErrWouldBlock {
			return false
		}
		if err != nil {
			d.fail(err)
			return false
		}
	}
}

func (d *askDriver) Established()    {}
func (d *askDriver) Changed()        {}
func (d *askDriver) Draining()       {}
func (d *askDriver) Ended(err error) { d.fail(err) }

type nopWaker struct{}

func (nopWaker) Wake() {}
