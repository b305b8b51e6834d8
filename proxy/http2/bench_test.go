package http2

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/net/http2"
)

// benchFrames are the frames of the request path: a request with a body of so many bytes in one frame, the reset of another
// stream, and the windows opened again.
func benchFrames(body int) []byte {
	s := newScript()
	s.raw(http2.FrameHeaders, endHeaders, 1, plainGET).data(1, endStream, string(make([]byte, body)))
	return s.reset(3, http2.ErrCodeCancel).windowUpdate(0, 1).windowUpdate(1, 1).Bytes()
}

// BenchmarkFrames reads and writes the same frames with our functions and with the Framer of x/net, without what is done with
// a frame then. An operation is all frames of a request.
func BenchmarkFrames(b *testing.B) {
	for _, body := range []int{0, 1 << 10, 16 << 10} {
		frames := benchFrames(body)
		payload := make([]byte, body)
		for _, c := range []struct {
			name string
			run  func(b *testing.B)
		}{
			{"read/ours", func(b *testing.B) { readOurs(b, frames) }},
			{"read/theirs", func(b *testing.B) { readTheirs(b, frames) }},
			{"write/ours", func(b *testing.B) { writeOurs(b, payload) }},
			{"write/theirs", func(b *testing.B) { writeTheirs(b, payload) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", body, c.name), func(b *testing.B) {
				b.SetBytes(int64(len(frames)))
				b.ReportAllocs()
				c.run(b)
			})
		}
	}
}

func readOurs(b *testing.B, frames []byte) {
	count := 0
	for b.Loop() {
		for rest := frames; len(rest) >= frameHeaderSize; {
			h := parseFrameHeader(rest)
			payload, f := unpad(h, rest[frameHeaderSize:frameHeaderSize+int(h.length)])
			if f.is() {
				b.Fatal(f)
			}
			rest = rest[frameHeaderSize+int(h.length):]
			count += len(payload)
		}
	}
	if count == 0 {
		b.Fatal("nothing was read")
	}
}

func readTheirs(b *testing.B, frames []byte) {
	var in bytes.Reader
	framer := http2.NewFramer(nil, &in)
	framer.SetReuseFrames()
	for b.Loop() {
		in.Reset(frames)
		for {
			_, err := framer.ReadFrame()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func writeOurs(b *testing.B, payload []byte) {
	var dst []byte
	for b.Loop() {
		dst = appendFrameHeader(dst[:0], len(plainGET), http2.FrameHeaders, endHeaders, 1)
		dst = append(dst, plainGET...)
		dst = append(appendFrameHeader(dst, len(payload), http2.FrameData, endStream, 1), payload...)
		dst = appendUint32Frame(dst, http2.FrameRSTStream, 3, uint32(http2.ErrCodeCancel))
		dst = appendUint32Frame(dst, http2.FrameWindowUpdate, 0, 1)
		dst = appendUint32Frame(dst, http2.FrameWindowUpdate, 1, 1)
	}
}

func writeTheirs(b *testing.B, payload []byte) {
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	block := []byte(plainGET)
	for b.Loop() {
		out.Reset()
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
		_ = framer.WriteData(1, true, payload)
		_ = framer.WriteRSTStream(3, http2.ErrCodeCancel)
		_ = framer.WriteWindowUpdate(0, 1)
		_ = framer.WriteWindowUpdate(1, 1)
	}
}

// BenchmarkExchange is a whole exchange, one at a time, with the turns of the loop and the system calls of both ends.
func BenchmarkExchange(b *testing.B) {
	for _, body := range []int{0, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("server/%d", body), func(b *testing.B) { runExchanges(b, newServeDriver(b, shape{request: body, response: body})) })
		b.Run(fmt.Sprintf("client/%d", body), func(b *testing.B) { runExchanges(b, newAskDriver(b, shape{request: body, response: body})) })
	}
}

func runExchanges(b *testing.B, d runner) {
	d.run(100)
	b.ResetTimer()
	allocs := d.run(b.N)
	b.ReportMetric(float64(allocs)/float64(b.N), "allocs/exchange")
}
