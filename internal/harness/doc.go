// Package harness runs the whole proxy inside a test: a Server with its workers, scripted clients that speak raw bytes,
// scripted origins that record every byte they get, a clock that only moves when the test says so, and the outcome of
// every stream.
//
// A test builds a Setup, starts it, and then is a dialogue:
//
//	origin := harness.NewOrigin(t, harness.Respond("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"))
//	p := harness.NewSetup(origin.Addr()).Start(t)
//	c := p.Dial()
//	c.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
//	resp := c.ReadResponse("GET")
//
// Nothing here sleeps to let something happen. What a test waits for is an event: bytes, the end of a connection, an
// outcome, or turns of the workers' loops (Proxy.Sync). Every wait ends in a failure after Guard.
//
// Messages are parsed by a parser of this package that shares nothing with the proxy's and accepts less: one that reads
// what a proxy wrote must not forgive.
package harness

import "time"

// Guard bounds every wait of a test. It is there to make a hang a failure and is never reached otherwise.
const Guard = 20 * time.Second
