package http2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// testServer serves the streams of a ServerConn and writes down what it is told.
type testServer struct {
	ServerConn
	r       *rig
	p       *peer
	opening *served
	served  map[uint32]*served // by stream, all that there ever were
	serve   func(s *served)    // run as a job when the stream is opened and whenever it is woken; nil: the test acts itself
	gone    int
	late    int
	ends    []error

	gonePanics bool // Gone panics, once
}

// served is a stream of a testServer, and who serves it.
type served struct {
	ServerStream
	id    uint32
	on    *testServer
	job   eventloop.Job
	req   message.Request
	why   Error // it was refused
	over  bool  // End was called
	woken int
}

// newServer returns the server's side of a connection and its peer, with the settings of both exchanged.
func newServer(t testing.TB, o *Options) (*testServer, *peer) {
	t.Helper()
	s, p := newRig(t).server(o)
	p.begin().turn()
	p.take()
	return s, p
}

// server returns the server's side of a connection on which nothing was sent yet.
func (r *rig) server(o *Options) (*testServer, *peer) {
	r.t.Helper()
	raw, fd := r.connect()
	s := &testServer{r: r, served: make(map[uint32]*served)}
	s.p = newPeer(r, fd, false)
	s.Init(raw, r.env, o, r.block, s)
	r.check = append(r.check, func() { checkServer(r.t, s) })
	return s, s.p
}

func (s *testServer) Open(stream ServerStream) *message.Request {
	s.opening = &served{ServerStream: stream, id: stream.ID(), on: s}
	s.served[stream.ID()] = s.opening
	return &s.opening.req
}

func (s *testServer) Serve(stream ServerStream) {
	v := s.opening
	stream.SetWaker(v)
	if s.serve != nil {
		v.job.Start(s.loop, v)
	}
}

func (s *testServer) Refuse(_ ServerStream, why Error) {
	v := s.opening
	v.why = why
	if why == ErrMalformed || why == ErrProtocol {
		v.end(false)
		return
	}
	v.WriteHead(&message.Response{Status: 400, EndStream: true}, false)
	v.end(true)
}

func (s *testServer) Gone() {
	s.gone++
	if s.gonePanics {
		s.gonePanics = false
		panic("in Gone")
	}
}

func (s *testServer) Late()           { s.late++ }
func (s *testServer) Ended(err error) { s.ends = append(s.ends, err) }

// stream returns a stream that was opened.
func (s *testServer) stream(id uint32) *served {
	s.r.t.Helper()
	v := s.served[id]
	if v == nil {
		s.r.t.Fatalf("stream %d was never opened", id)
	}
	return v
}

// Wake implements eventloop.Waker.
func (v *served) Wake() {
	v.woken++
	v.job.Wake()
}

// Step implements eventloop.Stepper.
func (v *served) Step() {
	if !v.over {
		v.on.serve(v)
	}
}

// end ends the stream once.
func (v *served) end(complete bool) { v.endWithin(complete, 0) }

func (v *served) endWithin(complete bool, patience time.Duration) {
	if !v.over {
		v.over = true
		v.job.Stop()
		v.End(complete, patience)
	}
}

// answer writes a whole response.
func (v *served) answer(body string) {
	v.head(200)
	v.WriteBody([]byte(body), true)
	v.end(true)
}

// head writes a response head with a body to come.
func (v *served) head(status int) {
	v.WriteHead(&message.Response{Status: status, ContentLength: message.UnknownLength}, false)
}

// answerAll has a server answer every request at once.
func (s *testServer) answerAll(body string) { s.serve = func(v *served) { v.answer(body) } }

// readAll takes what has come of a body and returns it with what its end looks like.
func readAll(s *Stream) string {
	var text strings.Builder
	for {
		data, done, err := s.ReadBody()
		text.Write(data)
		switch {
		case done:
			return text.String() + "|"
		case err == eventloop.ErrWouldBlock:
			return text.String()
		case err != nil:
			return fmt.Sprintf("%s!%v", text.String(), err)
		}
	}
}

// fieldsText returns fields as text.
func fieldsText(fields *message.Fields) string {
	if fields == nil {
		return ""
	}
	var list []string
	for _, f := range fields.All() {
		text := string(f.Name) + "=" + string(f.Value)
		if f.NeverIndexed {
			text += " (never indexed)"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// fieldsOf makes fields of names and values in turn.
func fieldsOf(texts ...string) message.Fields {
	var list message.Fields
	for i := 0; i < len(texts); i += 2 {
		name := []byte(texts[i])
		list.Append(message.Field{Name: name, Value: []byte(texts[i+1]), ID: message.LookupName(name)})
	}
	return list
}

// wantEnded demands that the owner was told once of the end of the connection, and why.
func wantEnded(t testing.TB, got []error, want error) {
	t.Helper()
	if !slices.Equal(got, []error{want}) {
		t.Errorf("Ended was told %q, want once %q", got, want)
	}
}

// testClient is the pool of a ClientConn, and what its streams have come to.
type testClient struct {
	ClientConn
	r           *rig
	p           *peer
	established int
	changed     int
	drained     int
	ends        []error
	asked       []*asked
}

// asked is a request of a testClient.
type asked struct {
	ClientStream
	on    *testClient
	req   message.Request
	resp  message.Response
	woken int
	over  bool // End was called
}

// newClient returns the client's side of a connection and its peer, with the settings of both exchanged.
func newClient(t testing.TB, o *Options) (*testClient, *peer) {
	t.Helper()
	k, p := newRig(t).client(o)
	p.settings().settingsAck().turn()
	p.take()
	return k, p
}

// client returns the client's side of a connection on which nothing was sent yet.
func (r *rig) client(o *Options) (*testClient, *peer) {
	r.t.Helper()
	raw, fd := r.connect()
	k := &testClient{r: r}
	k.p = newPeer(r, fd, true)
	k.Init(raw, r.env, o, r.block, k)
	r.check = append(r.check, func() { checkClient(r.t, k) })
	return k, k.p
}

func (k *testClient) Established()    { k.established++ }
func (k *testClient) Changed()        { k.changed++ }
func (k *testClient) Draining()       { k.drained++ }
func (k *testClient) Ended(err error) { k.ends = append(k.ends, err) }

// reserve reserves a stream.
func (k *testClient) reserve() *asked {
	q := &asked{on: k}
	q.ClientStream = k.Reserve(q, &q.resp)
	k.asked = append(k.asked, q)
	return q
}

// get sends a request without a body.
func (k *testClient) get() *asked {
	q := k.reserve()
	q.write("GET", true)
	return q
}

// post sends the head of a request with a body.
func (k *testClient) post() *asked {
	q := k.reserve()
	q.write("POST", false)
	return q
}

// write sends the head of a request.
func (q *asked) write(method string, end bool, fields ...string) {
	q.req = message.Request{
		Method: []byte(method), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte("/"),
		EndStream: end, ContentLength: message.UnknownLength, Fields: fieldsOf(fields...),
	}
	if end {
		q.req.ContentLength = 0
	}
	q.on.WriteHead(q.ClientStream, &q.req)
}

// Wake implements eventloop.Waker.
func (q *asked) Wake() { q.woken++ }

// end ends the request once.
func (q *asked) end() {
	if !q.over {
		q.over = true
		q.on.End(q.ClientStream)
	}
}

// result returns what has come of the response: heads, body and trailers as text.
func (q *asked) result() string {
	var parts []string
	for {
		err := q.ReadHead(&q.resp)
		if err == eventloop.ErrWouldBlock {
			break
		}
		if err != nil {
			return strings.Join(append(parts, "!"+err.Error()), " ")
		}
		parts = append(parts, fmt.Sprint(q.resp.Status))
		if fields := fieldsText(&q.resp.Fields); fields != "" {
			parts = append(parts, "["+fields+"]")
		}
		if q.resp.Status >= 200 || q.resp.Status == 101 {
			break
		}
	}
	if q.headDone {
		parts = append(parts, readAll(q.Stream))
	}
	if trailers := q.Trailers(); trailers != nil {
		parts = append(parts, "{"+fieldsText(trailers)+"}")
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}
