package load

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/http2"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

var errNoHTTP2 = errors.New("the server does not agree on h2")

// http2Client has one connection at a time, opened by the first request and again by the first after it has ended.
type http2Client struct {
	d       *driver
	tls     *tls.Config // nil for cleartext
	current *http2Conn  // nil while there is none on which streams may be opened
}

// http2Conn is a connection. It implements http2.Pool.
type http2Conn struct {
	http2.ClientConn
	owner       *http2Client
	raw         *eventloop.Conn
	established bool
	over        bool
}

// http2Stream is a slot: a request after another, each on a stream of its own; or messages of calls, each call on a stream of its
// own.
type http2Stream struct {
	client *http2Client
	job    eventloop.Job
	pause  eventloop.Timer
	conn   *http2Conn // of the request in flight, nil without one
	stream http2.ClientStream
	resp   message.Response
	due    int64
	opened bool
	headed bool
	bytes  uint64
	busy   bool // something is in flight
	said   int  // messages of the call so far
}

// addHTTP2 makes a connection with its streams.
func (d *driver) addHTTP2() {
	c := &http2Client{d: d}
	if d.shared.config.TLS {
		c.tls = clientTLS(false)
		c.tls.NextProtos = []string{"h2"}
	}
	for range max(1, d.shared.config.Streams) {
		d.slots = append(d.slots, &http2Stream{client: c})
	}
}

// open returns the connection, which may be one that is being opened.
func (c *http2Client) open() (*http2Conn, error) {
	if c.current != nil {
		return c.current, nil
	}
	raw, err := c.d.loop.Dial(c.d.shared.server)
	if err != nil {
		return nil, err
	}
	if c.tls != nil {
		raw.Handshake(func(w *eventloop.Wire) (eventloop.Layer, error) {
			conn := tls.Client(w, c.tls)
			err := conn.HandshakeContext(context.Background())
			if err == nil && conn.ConnectionState().NegotiatedProtocol != "h2" {
				err = errNoHTTP2
			}
			if err != nil {
				return nil, err
			}
			return conn, nil
		})
	}
	k := &http2Conn{owner: c, raw: raw}
	k.Init(raw, c.d.env, c.d.options, c.d.block, k)
	c.current = k
	return k, nil
}

// Established implements http2.Pool.
func (k *http2Conn) Established() { k.established = true }

// Changed implements http2.Pool.
func (k *http2Conn) Changed() {}

// Draining implements http2.Pool.
func (k *http2Conn) Draining() { k.leave() }

// Ended implements http2.Pool. The streams are told by the codec.
func (k *http2Conn) Ended(error) {
	k.leave()
	k.close()
}

// leave has no more streams opened on the connection.
func (k *http2Conn) leave() {
	if k.owner.current == k {
		k.owner.current = nil
	}
}

func (k *http2Conn) close() {
	if !k.over {
		k.over = true
		k.Release()
		k.raw.Close()
	}
}

// send implements slot.
func (s *http2Stream) send(due int64) {
	s.due, s.busy, s.bytes = due, true, 0
	if s.conn != nil {
		s.next()
		return
	}
	s.opened, s.headed, s.said = false, false, 0
	conn, err := s.client.open()
	if err != nil {
		s.lose(stepConnect)
		return
	}
	s.conn = conn
	s.job.Start(s.client.d.loop, s)
	s.resp.Reset()
	s.stream = conn.Reserve(&s.job, &s.resp)
}

// Step implements eventloop.Stepper.
func (s *http2Stream) Step() {
	if s.conn == nil || !s.busy {
		return
	}
	if !s.opened && !s.ask() {
		return
	}
	if !s.headed {
		switch err := s.stream.ReadHead(&s.resp); {
		case err == eventloop.ErrWouldBlock:
			return
		case err != nil:
			s.lose(s.failed())
			return
		case s.resp.Status < 200:
			s.job.Wake()
			return
		}
		s.headed = true
	}
	for done := s.resp.EndStream; !done; {
		data, last, err := s.stream.ReadBody()
		if err == eventloop.ErrWouldBlock {
			return
		}
		if err != nil {
			s.lose(s.failed())
			return
		}
		s.bytes += uint64(len(data))
		done = last
		if !done && s.echoed() {
			return
		}
	}
	s.answered()
}

// ask sends the request, once the server has told how many streams it takes.
func (s *http2Stream) ask() bool {
	if s.conn.over {
		s.lose(s.failed())
		return false
	}
	if !s.conn.AwaitSettings(s.stream) {
		return false
	}
	d := s.client.d
	s.conn.WriteHead(s.stream, d.messages()[d.next()])
	s.opened = true
	if len(d.shared.body) > 0 {
		s.say()
	}
	return true
}

// say sends the body of a request, or a message of a call.
func (s *http2Stream) say() {
	s.said++
	s.stream.WriteBody(s.client.d.shared.body, s.said >= s.client.d.shared.config.Messages)
}

// next sends a further message of the call. If that has ended meanwhile, the next step finds out.
func (s *http2Stream) next() {
	if s.conn.over {
		s.lose(stepRead)
		return
	}
	s.say()
	s.job.Wake()
}

// echoed ends a message that has come back whole and is not the last of its call, which the end of the call answers.
func (s *http2Stream) echoed() bool {
	d := s.client.d
	if s.said >= d.shared.config.Messages || s.bytes < uint64(len(d.shared.body)) {
		return false
	}
	s.busy = false
	d.record(s.due)
	d.shared.answered(s.resp.Status, s.bytes, false)
	d.over(1)
	d.release(s)
	return true
}

// failed says at which step a request was lost.
func (s *http2Stream) failed() step {
	if !s.conn.established {
		return stepConnect
	}
	return stepRead
}

// answered ends a request whose response has come whole.
func (s *http2Stream) answered() {
	d := s.client.d
	if d.shared.config.GRPC && !grpcOK(s.stream.Trailers()) || s.said < d.shared.config.Messages {
		s.lose(stepRead)
		return
	}
	d.record(s.due)
	d.shared.answered(s.resp.Status, s.bytes, false)
	s.finish()
	d.over(1)
	d.release(s)
}

// grpcOK reports whether a call went well.
func grpcOK(trailers *message.Fields) bool {
	if trailers == nil {
		return false
	}
	status, ok := trailers.GetName([]byte("grpc-status"))
	return ok && string(status) == "0"
}

// lose counts the request as lost. The next follows after a pause.
func (s *http2Stream) lose(at step) {
	d := s.client.d
	s.finish()
	d.shared.failed(at, 1)
	d.over(1)
	d.loop.SetTimer(&s.pause, errorPause, s)
}

// finish gives the stream back.
func (s *http2Stream) finish() {
	s.busy = false
	if s.conn == nil {
		return
	}
	conn := s.conn
	s.conn = nil
	s.job.Stop()
	conn.End(s.stream)
	if conn.Idle() && conn.owner.current != conn {
		conn.close()
	}
}

// Expired ends a pause. It implements eventloop.Expirer.
func (s *http2Stream) Expired(*eventloop.Timer) { s.client.d.release(s) }

// expire implements slot.
func (s *http2Stream) expire(before int64) {
	if s.busy && s.due < before {
		s.lose(stepTimeout)
	}
}

// messages returns the requests of HTTP/2, by path. They are made once and borrowed by all streams.
func (d *driver) messages() []*message.Request {
	if d.heads == nil {
		for _, path := range d.shared.paths {
			d.heads = append(d.heads, d.shared.head(path))
		}
	}
	return d.heads
}

// head makes the request of a path.
func (r *run) head(path string) *message.Request {
	req := &message.Request{
		Method: []byte("GET"), Scheme: []byte("http"), Authority: []byte(r.config.Address), Path: []byte(path), Version: message.HTTP2,
		ContentLength: 0, EndStream: true,
	}
	if r.config.TLS {
		req.Scheme = []byte("https")
	}
	if len(r.body) > 0 {
		req.Method, req.EndStream, req.ContentLength = []byte("POST"), false, message.UnknownLength
	}
	for _, h := range r.config.Headers {
		name, value, _ := strings.Cut(h, ":")
		req.Fields.AddRaw([]byte(strings.ToLower(strings.TrimSpace(name))), []byte(strings.TrimSpace(value)))
	}
	return req
}
