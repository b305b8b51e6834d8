package proxy

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// downstream is the client's side of an exchange: an HTTP/1 connection for the time of a request, or an HTTP/2 stream. What
// happens to it wakes the exchange.
type downstream interface {
	// ReadBody returns the next bytes of the request body, which are valid until the next call or until the task parks, and
	// whether the body ended with them. It returns eventloop.ErrWouldBlock when none are there.
	ReadBody() (data []byte, done bool, err error)
	// BodyDone reports whether the request body has been read to its end.
	BodyDone() bool
	// Trailers returns the trailers of a request whose body was read to its end, nil when there are none.
	Trailers() *message.Fields

	// WriteHead gathers a response head. Informational ones may come before the final one. With close, the client is told
	// that the connection ends with this response, where the protocol has a way to say so with the response.
	WriteHead(resp *message.Response, close bool)
	// WriteContinue gathers a 100 (Continue), unless the client did not wait for it.
	WriteContinue()
	// WriteBody gathers body bytes, which are not kept. last says that nothing follows, not even trailers.
	WriteBody(p []byte, last bool)
	// WriteEnd ends a body whose last bytes were not known to be the last. Trailers may be nil.
	WriteEnd(trailers *message.Fields)
	// SwitchToTunnel makes both directions raw bytes.
	SwitchToTunnel()

	// Pending returns the number of gathered bytes that are not on their way to the client.
	Pending() int
	// NotifyBelow has the task woken once Pending is less than n. It asks once.
	NotifyBelow(n int)
	// Gone reports whether nobody is left to answer.
	Gone() bool
}
