package upstream

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// Stream is the way of one request to its host and of the response back: an HTTP/1 connection for that time, or an HTTP/2
// stream. What happens to it wakes the exchange.
type Stream interface {
	// Connected reports whether the connection is established. It fails with the reason when it cannot be.
	Connected() (bool, error)
	// Reused reports whether the connection has carried an earlier request.
	Reused() bool

	// WriteHead gathers the request head. Without a body (req.EndStream) that is the whole request.
	WriteHead(req *message.Request)
	// WriteBody gathers body bytes, which are not kept. last says that nothing follows, not even trailers.
	WriteBody(p []byte, last bool)
	// WriteEnd ends a body whose last bytes were not known to be the last. Trailers may be nil.
	WriteEnd(trailers *message.Fields)
	// SwitchToTunnel makes both directions raw bytes.
	SwitchToTunnel()

	// ReadHead reads a response head into resp; after an informational one it is called again. It returns
	// eventloop.ErrWouldBlock while there is none.
	ReadHead(resp *message.Response) error
	// ResponseStarted reports whether some of the response was received.
	ResponseStarted() bool
	// ReadBody returns the next bytes of the response body, which are valid until the next call or until the task parks, and
	// whether the body ended with them. It returns eventloop.ErrWouldBlock when none are there.
	ReadBody() (data []byte, done bool, err error)
	// Trailers returns the trailers of a response whose body was read to its end, nil when there are none.
	Trailers() *message.Fields

	// Pending returns the number of gathered bytes that are not on their way to the host.
	Pending() int
	// NotifyBelow has the task woken once Pending is less than n. It asks once.
	NotifyBelow(n int)
	// Flushed reports whether everything gathered is on its way to the host.
	Flushed() bool
	// WriteErr returns why what is written is dropped, nil while it is not. A response may come nevertheless.
	WriteErr() error
}
