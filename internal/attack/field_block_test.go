package attack

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

const (
	// getBlock is the head of GET http://a/ as a field block that inserts nothing.
	getBlock = "\x82\x86\x84\x01\x01a"
	// newestEntry refers to the field that was inserted last: one byte, whatever its size.
	newestEntry = "\xbe"
	// frameSize is the largest payload of a frame that everybody takes.
	frameSize = 16 << 10
	mebibyte  = 1 << 20
)

// inserted is a literal field that is inserted into the table. Name and value are shorter than 127 bytes, or exactly 4000.
func inserted(name, value string) string {
	length := string(rune(len(value)))
	if len(value) == 4000 {
		length = "\x7f\xa1\x1e" // 127 + 33 + 30*128 (RFC 7541 section 5.1)
	}
	return "\x40" + string(rune(len(name))) + name + length + value
}

// openBlock opens a stream with a field block, in as many frames as it takes.
func openBlock(c *harness.H2Client, id uint32, block string) {
	first := block[:min(len(block), frameSize)]
	rest := block[len(first):]
	c.HeadersBlock(id, true, rest == "", []byte(first))
	for rest != "" {
		part := rest[:min(len(rest), frameSize)]
		rest = rest[len(part):]
		c.Continuation(id, rest == "", []byte(part))
	}
}

// TestContinuationFlood never ends a field block (CVE-2024-27316 and its like).
func TestContinuationFlood(t *testing.T) {
	abreast(t)
	endless := func(name, fragment string) floodTest {
		return floodTest{
			name: name, code: http2.ErrCodeEnhanceYourCalm, stat: "http2.header_overflow", growth: 2 * mebibyte,
			begin: func(c *harness.H2Client) { c.HeadersBlock(1, true, false, []byte(getBlock)) },
			flood: flood{frames: count(10_000, 1_000_000), batch: max(1, 1000/len(fragment)), frame: func(c *harness.H2Client, _ int) {
				c.Continuation(1, false, []byte(fragment))
			}},
		}
	}
	runFloods(t, []floodTest{
		endless("CONTINUATION of 16 KiB", strings.Repeat("\x82", frameSize)),
		endless("CONTINUATION of 10 bytes", strings.Repeat("\x82", 10)),
	})
}

// bombGrowth bounds the memory for requests of 60 KiB, one after the other. Most of it is garbage, of which there is more when
// the machine is busy.
const bombGrowth = 40 * mebibyte

// bomb is a flood of requests whose blocks are much larger than they look. The first one inserts what all refer to. They are
// answered by the proxy, or refused, and cost no more than other blocks of that length.
func bomb(name, insert, block string, answered bool, change func(*process.Setup)) floodTest {
	f := floodTest{
		name: name, change: change, borne: true, growth: bombGrowth,
		begin: func(c *harness.H2Client) { openBlock(c, 1, getBlock+insert) },
		flood: flood{frames: count(100, 2000), batch: 1, frame: func(c *harness.H2Client, i int) {
			openBlock(c, streamID(i+1), getBlock+block)
		}},
		requests: 1, inFlight: 1,
	}
	if answered {
		f.answers = f.frames
	}
	return f
}

// TestFieldBombs refers to fields that are not sent again (CVE-2016-6581, CVE-2026-49975, CVE-2026-47774, CVE-2026-73550).
func TestFieldBombs(t *testing.T) {
	abreast(t)
	refs := func(n int) string { return strings.Repeat(newestEntry, n) }
	manyFields := func(s *process.Setup) {
		s.HTTP()["common_http_protocol_options"] = process.Fields{"max_headers_count": 10_000}
	}
	hosts := bomb("many host fields, allowed", inserted("host", "a"), refs(1000), false, manyFields)
	hosts.borne, hosts.code, hosts.stat = false, http2.ErrCodeEnhanceYourCalm, tooManyResets
	hosts.frames, hosts.flood.frames = 1000, 1000
	runFloods(t, []floodTest{
		bomb("a large field many times", inserted("x", letters(4000)), refs(16_000), true, nil),
		bomb("a small field many times", inserted("x", "y"), refs(50_000), true, nil),
		bomb("a small field many times, more of them allowed", inserted("x", "y"), refs(50_000), true, manyFields),
		bomb("many cookie crumbs", inserted("cookie", "a="), refs(4000), true, nil),
		bomb("many host fields", inserted("host", "a"), refs(50_000), true, nil),
		hosts,
	})
}

// TestFieldBombsAndClosedWindows has the answers to bombs wait with what they belong to (CVE-2026-49975). Each bomb is 50 KB,
// and would be 1.6 MB as fields.
func TestFieldBombsAndClosedWindows(t *testing.T) {
	abreast(t)
	each(t, paces, func(t *testing.T, k kind) {
		g := newTarget(t, k, impatient)
		g.run(attack{name: "bombs, windows of 0", growth: stalledGrowth, run: func() int {
			c := g.dialRaw()
			c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			openBlock(c, 1, getBlock+inserted("x", "y")+strings.Repeat(newestEntry, 50_000))
			for i := 1; i < maxStreams; i++ {
				openBlock(c, streamID(i), getBlock+strings.Repeat(newestEntry, 50_000))
			}
			for i := range maxStreams {
				// The head of the answer needs no window. Its body has none, and does not come.
				if r, err := c.TryResponse(streamID(i)); err != nil || r.Status != 431 || r.Body != "" || !r.Reset {
					t.Errorf("stream %d: got %v, %v, want 431 and a reset", streamID(i), r, err)
					break
				}
			}
			c.Close()
			return maxStreams
		}})
	})
}

// TestCookieCrumbs has crumbs joined for an origin that knows none, as many as the limits let pass, and half as many.
func TestCookieCrumbs(t *testing.T) {
	abreast(t)
	const (
		requests = 90
		most     = 1400 // of 40 bytes each, as fields are counted: 55 of 60 KiB
	)
	crumbs := func(name string, n int) floodTest {
		f := bomb(name, inserted("cookie", "a="), strings.Repeat(newestEntry, n), true, func(s *process.Setup) {
			s.HTTP()["common_http_protocol_options"] = process.Fields{"max_headers_count": 2 * most}
		})
		f.kinds = []kind{fastH1, slowH1}
		f.answers, f.frames = requests, requests
		f.requests, f.inFlight = requests+1, requests+1
		return f
	}
	runFloods(t, []floodTest{crumbs("700 cookie crumbs", most/2), crumbs("1400 cookie crumbs", most)})
}

// TestHuffman has long strings decoded and passed on (CVE-2022-41723).
func TestHuffman(t *testing.T) {
	abreast(t)
	const many = 50
	long := func(name string, size int) floodTest {
		return floodTest{
			name: name, borne: true, requests: many, inFlight: many,
			flood: flood{frames: many, answers: many, batch: 1, frame: func(c *harness.H2Client, i int) {
				c.Headers(streamID(i), true, harness.H2Head("GET", "/", "x", strings.Repeat("e", size))...)
			}},
		}
	}
	runFloods(t, []floodTest{long("strings of 20 KiB", 20<<10), long("strings of 40 KiB", 40<<10)})
}

// TestTableSizeUpdates changes the size of the compression table (RFC 7541 sections 4.2 and 6.3).
func TestTableSizeUpdates(t *testing.T) {
	abreast(t)
	updates := func(name, block string, code http2.ErrCode) floodTest {
		return floodTest{
			name: name, code: code, growth: 2 * mebibyte,
			flood: flood{frames: count(100, 10_000), batch: 1, frame: func(c *harness.H2Client, i int) {
				openBlock(c, streamID(i), block+getBlock)
			}},
		}
	}
	runFloods(t, []floodTest{
		updates("table size updates without end", strings.Repeat("\x20", 10_000), http2.ErrCodeCompression),
		updates("table size above the limit", "\x3f\xe2\x1f", http2.ErrCodeCompression), // 4097
		updates("table size update behind a field", getBlock+"\x20", http2.ErrCodeCompression),
	})
}
