package attack

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// TestMoreStreamsThanAllowed opens streams above the limit: those are refused, and too many of them end the connection.
func TestMoreStreamsThanAllowed(t *testing.T) {
	abreast(t)
	each(t, []kind{slowH2, slowH1}, func(t *testing.T, k kind) {
		g := newTarget(t, k)
		times := g.run(attack{name: "streams above the limit", requests: maxStreams, inFlight: maxStreams, run: func() int {
			c := g.dial()
			c.Batch(func() {
				for range maxStreams + 50 {
					c.Get("/")
				}
			})
			for i := range 50 {
				c.ExpectReset(streamID(maxStreams+i), http2.ErrCodeRefusedStream)
			}
			e := flood{frames: count(1000, 100_000), batch: 10, frame: func(c *harness.H2Client, i int) {
				openGet(c, streamID(maxStreams+50+i))
			}}.run(c)
			e.want(t, http2.ErrCodeEnhanceYourCalm)
			return maxStreams + 50 + e.sent
		}})
		g.WaitStat(tooManyResets, uint64(times))
		if refused := g.Stat("http2.stream_refused_errors"); refused < 50 {
			t.Errorf("stream_refused_errors is %d, want 50 at least", refused)
		}
	})
}

// TestStreamIdentifiers uses identifiers that are not to be used (RFC 9113 section 5.1.1).
func TestStreamIdentifiers(t *testing.T) {
	abreast(t)
	end := func(name string, code http2.ErrCode, frame func(c *harness.H2Client, i int)) floodTest {
		return floodTest{
			name: name, code: code, requests: 2, inFlight: 2, flood: flood{frames: 4, batch: 4, frame: frame},
		}
	}
	runFloods(t, []floodTest{
		end("even identifier", http2.ErrCodeProtocol, func(c *harness.H2Client, i int) { openGet(c, uint32(2*i+2)) }),
		end("descending identifiers", http2.ErrCodeProtocol, func(c *harness.H2Client, i int) { openGet(c, uint32(101-2*i)) }),
		end("identifier 0", http2.ErrCodeProtocol, func(c *harness.H2Client, _ int) { openGet(c, 0) }),
		end("identifier of a stream that was reset", http2.ErrCodeStreamClosed, func(c *harness.H2Client, i int) {
			if i%2 == 0 {
				openGet(c, 1)
			} else {
				c.Reset(1, http2.ErrCodeCancel)
			}
		}),
	})
}

// TestLastStreamIdentifier uses the last one there is. The proxy answers, and lets the client go.
func TestLastStreamIdentifier(t *testing.T) {
	abreast(t)
	each(t, paces, func(t *testing.T, k kind) {
		g := newTarget(t, k)
		g.run(attack{name: "last stream identifier", requests: 1, inFlight: 1, run: func() int {
			c := g.dial()
			openGet(c, widest)
			if last, _ := c.ExpectGoAway(http2.ErrCodeNo); last != widest {
				t.Errorf("GOAWAY names stream %d as the last, want %d", last, uint32(widest))
			}
			if r := c.Response(widest); r.Status != 200 {
				t.Errorf("got %v", r)
			}
			c.ExpectClosed()
			c.Close()
			return 1
		}})
	})
}

// TestFramesAfterTheEnd sends, in one segment with what ends a stream or the connection, what would be something to do
// (CVE-2026-27135, CVE-2026-26311).
func TestFramesAfterTheEnd(t *testing.T) {
	abreast(t)
	const requests = 20
	work := func(c *harness.H2Client, from int) {
		for i := range requests {
			openGet(c, streamID(from+i))
		}
	}
	dead := func(code http2.ErrCode, last func(c *harness.H2Client)) func(t *testing.T, g *target) {
		return func(t *testing.T, g *target) {
			c := g.dial()
			c.Batch(func() {
				last(c)
				work(c, 0)
			})
			c.ExpectGoAway(code)
			c.ExpectEnd()
			c.Close()
		}
	}
	for _, test := range []struct {
		name string
		send func(t *testing.T, g *target)
	}{
		{"behind a connection error", dead(http2.ErrCodeProtocol, func(c *harness.H2Client) { c.Data(0, false, "x") })},
		{"behind a frame that is too large", dead(http2.ErrCodeFrameSize, func(c *harness.H2Client) { c.Ping(""); c.Raw(0x20, 0, 0, make([]byte, frameSize+1)) })},
		{"behind a broken field block", dead(http2.ErrCodeCompression, func(c *harness.H2Client) { c.HeadersBlock(999, true, true, []byte("\xff\xff\xff\xff\xff\xff")) })},
		{"of a stream behind its reset", func(t *testing.T, g *target) {
			c := g.dial()
			c.Batch(func() {
				for i := range requests {
					id := streamID(i)
					openPost(c, id)
					c.Reset(id, http2.ErrCodeCancel)
					c.Data(id, false, letters(1000))
					c.WindowUpdate(id, 1)
					c.Data(id, true, letters(1000))
				}
			})
			c.RoundTrip()
			c.Close()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			abreast(t)
			each(t, paces, func(t *testing.T, k kind) {
				g := newTarget(t, k)
				g.run(attack{name: "frames " + test.name, run: func() int {
					for range count(5, 500) {
						test.send(t, g)
					}
					return count(5, 500) * requests
				}})
			})
		})
	}
}

// TestTableSizeChanges changes the size of the compression table while responses are written (CVE-2026-97032): each must be
// readable with the size that it was written for.
func TestTableSizeChanges(t *testing.T) {
	abreast(t)
	const changes = 45 // two SETTINGS each; more of them are a flood
	each(t, paces, func(t *testing.T, k kind) {
		conns := count(4, 40)
		g := newTarget(t, k)
		g.run(attack{name: "HEADER_TABLE_SIZE between answers", requests: conns * changes, inFlight: maxStreams, run: func() int {
			for range conns {
				c := g.dial()
				sizes := []uint32{0, 4096, 1, 65536, 100}
				c.Batch(func() {
					for i := range changes {
						c.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: sizes[i%len(sizes)]})
						openGet(c, streamID(i))
						c.Settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: sizes[(i+1)%len(sizes)]})
					}
				})
				for i := range changes {
					if r := c.Response(streamID(i)); r.Status != 200 || !strings.HasPrefix(r.Body, "abc") {
						t.Fatalf("got %v", r)
					}
				}
				c.Close()
			}
			return conns * changes * 3
		}})
	})
}
