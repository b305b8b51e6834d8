package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// prematureResets is how many streams a client may have reset before they were answered, or may make the proxy reset, when it
// does nothing else: half of overload.premature_reset_total_stream_count.
const prematureResets = 250

// tooManyResets counts the connections that have reached it.
const tooManyResets = "http.in.downstream_rq_too_many_premature_resets"

// resetBatch is how many streams are opened and reset in one write, at most.
const resetBatch = 10

// provoked is a flood of streams that are reset, by the client or because of it: each is opened, with a body to come or
// without, and then something is done to it. All of them count alike, so that nobody has the proxy ask for what nobody waits
// for.
func provoked(name string, open, then func(c *harness.H2Client, id uint32)) floodTest {
	return floodTest{
		name: name, kinds: some(fastH2, slowH1), code: http2.ErrCodeEnhanceYourCalm, stat: tooManyResets,
		requests: prematureResets + resetBatch, inFlight: maxStreams,
		flood: flood{frames: count(2000, 200_000), batch: 2 * resetBatch, frame: func(c *harness.H2Client, i int) {
			id := streamID(i / 2)
			if i%2 == 0 {
				open(c, id)
			} else {
				then(c, id)
			}
		}},
	}
}

// streamID returns the identifier of a client's stream number n.
func streamID(n int) uint32 { return uint32(2*n + 1) }

func openGet(c *harness.H2Client, id uint32)  { c.Headers(id, true, harness.H2Head("GET", "/")...) }
func openPost(c *harness.H2Client, id uint32) { c.Headers(id, false, harness.H2Head("POST", "/")...) }

// resetAtOrigin is a flood of streams that are reset when their requests are at the origin, which has begun to work.
func resetAtOrigin(name string, then func(c *harness.H2Client, id uint32)) floodTest {
	f := provoked(name, nil, nil)
	f.kinds = []kind{slowH2, slowH1}
	f.batch = resetBatch // of requests, and of resets, by turns
	at := func(i int) (id uint32, opens bool) {
		turn := i / resetBatch
		return streamID(turn/2*resetBatch + i%resetBatch), turn%2 == 0
	}
	f.frame = func(c *harness.H2Client, i int) {
		if id, opens := at(i); opens {
			openGet(c, id)
		} else {
			then(c, id)
		}
	}
	f.arriving = func(sent int) (requests int) { return (sent/resetBatch + 1) / 2 * resetBatch }
	return f
}

// TestStreamsThatAreReset opens streams for nothing.
func TestStreamsThatAreReset(t *testing.T) {
	abreast(t)
	const wholeWindow = 1<<31 - 1
	cancel := func(c *harness.H2Client, id uint32) { c.Reset(id, http2.ErrCodeCancel) }
	noWindow := func(c *harness.H2Client, id uint32) { c.WindowUpdate(id, 0) }
	runFloods(t, []floodTest{
		// CVE-2023-44487, rapid reset.
		provoked("rapid reset", openGet, cancel),
		resetAtOrigin("rapid reset at the origin", cancel),
		// CVE-2025-8671, "made you reset": the client has the proxy do it.
		provoked("WINDOW_UPDATE by 0", openGet, noWindow),
		resetAtOrigin("WINDOW_UPDATE by 0 at the origin", noWindow),
		provoked("WINDOW_UPDATE above 2^31-1", openGet, func(c *harness.H2Client, id uint32) { c.WindowUpdate(id, wholeWindow) }),
		provoked("DATA on a half-closed stream", openGet, func(c *harness.H2Client, id uint32) { c.Data(id, true, "x") }),
		provoked("HEADERS on a half-closed stream", openGet, openGet),
		provoked("PRIORITY of a stream on itself", openGet, func(c *harness.H2Client, id uint32) {
			c.Priority(id, http2.PriorityParam{StreamDep: id})
		}),
		// Trailers that are none.
		provoked("trailers without END_STREAM", openPost, func(c *harness.H2Client, id uint32) { c.Headers(id, false, "x", "y") }),
		provoked("a second request head", openPost, openPost),
		provoked("trailers above the limit", openPost, func(c *harness.H2Client, id uint32) {
			c.Headers(id, true, "x", letters(62<<10))
		}),
	})
}

// TestPriorityFrameOfAnotherLength is one more way to have a stream reset, which ends the connection at once.
func TestPriorityFrameOfAnotherLength(t *testing.T) {
	abreast(t)
	f := provoked("PRIORITY of 4 bytes", openGet, func(c *harness.H2Client, id uint32) {
		c.Raw(http2.FramePriority, 0, id, make([]byte, 4))
	})
	f.code, f.stat = http2.ErrCodeFrameSize, ""
	runFloods(t, []floodTest{f})
}

// TestMalformedRequests has the proxy refuse streams one after the other.
func TestMalformedRequests(t *testing.T) {
	abreast(t)
	refused := func(name string, unread bool, fields ...string) floodTest {
		return floodTest{
			name: name, code: http2.ErrCodeEnhanceYourCalm, stat: tooManyResets,
			flood: flood{frames: count(1000, 100_000), batch: resetBatch, unread: unread, frame: func(c *harness.H2Client, i int) {
				c.Headers(streamID(i), true, fields...)
			}},
		}
	}
	head := func(fields ...string) []string { return harness.H2Head("GET", "/", fields...) }
	tests := []floodTest{
		refused("name in upper case", false, head("X", "y")...),
		refused("name without a letter", false, head("", "y")...), // CVE-2019-9516
		refused("connection field", false, head("connection", "close")...),
		refused("no :path", false, ":method", "GET", ":scheme", "http", ":authority", "a"),
		refused("NUL in a value", true, head("x", "\x00")...), // CVE-2019-9514
	}
	tests[len(tests)-1].dial = noReading
	runFloods(t, tests)
}
