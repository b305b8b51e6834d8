package hpack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	oracle "golang.org/x/net/http2/hpack"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// benchRequest has 10 fields, and benchResponse 8, that are all repeated in each message.
var (
	benchRequest = pairsOf(":method", "GET", ":scheme", "https", ":authority", "www.example.com", ":path", "/static/app/main.js",
		"user-agent", userAgent, "accept", accept, "accept-encoding", "gzip, deflate, br, zstd", "accept-language", "en-GB,en;q=0.9,de;q=0.8",
		"cookie", "session=0123456789abcdef0123456789abcdef", "x-forwarded-proto", "https")
	benchResponse = pairsOf(":status", "200", "date", dateOf(1), "content-type", "text/html; charset=utf-8", "content-length", "1024",
		"server", "envoy", "vary", "accept-encoding", "cache-control", "private, no-store", "x-envoy-upstream-service-time", "3")
)

// benchFresh is benchRequest with what is new in each message of a real client.
func benchFresh(i int) []pair {
	return append(slices.Clone(benchRequest), pairsOf("x-request-id", fmt.Sprintf("%08x-5d0a-4c58-a8f0-5b6e2f7f9a11", i),
		"traceparent", fmt.Sprintf("00-4bf92f3577b34da6a3ce929d%08x-00f067aa0ba902b7-01", i))...)
}

// benchBlock is what x/net makes of the third message on a connection, with decoders that have seen those before.
func benchBlock(tb testing.TB, fields []pair) ([]byte, *Decoder, *oracleDecoder) {
	e, d, o := newOracleEncoder(), newDecoder(4096), newOracleDecoder(4096)
	var block []byte
	for range 3 {
		block = e.encode(tb, fields)
		wantBlock(tb, d, block, fields)
		o.decode(block)
	}
	return block, d, o
}

func benchDecode(b *testing.B, fields []pair) {
	block, d, o := benchBlock(b, fields)
	b.Run("ours", func(b *testing.B) {
		arena := make([]byte, 0, 4096)
		var f Field
		b.ReportAllocs()
		for b.Loop() {
			if n := decodeOnce(d, block, arena[:0], &f); n != len(fields) {
				b.Fatal(n)
			}
		}
	})
	b.Run("xnet", func(b *testing.B) {
		n := 0
		o.SetEmitFunc(func(oracle.HeaderField) { n++ })
		b.ReportAllocs()
		for b.Loop() {
			n = 0
			o.Write(block)
			o.Close()
			if n != len(fields) {
				b.Fatal(n)
			}
		}
	})
}

// decodeOnce decodes a block and returns the number of fields, -1 on an error.
func decodeOnce(d *Decoder, block, arena []byte, f *Field) (fields int) {
	d.Begin()
	for {
		n, longer, err := d.Next(block, arena, f)
		if err != noError {
			return -1
		}
		if n == 0 {
			return fields
		}
		block, arena = block[n:], longer
		fields++
	}
}

func BenchmarkDecodeRequest(b *testing.B)  { benchDecode(b, benchRequest) }
func BenchmarkDecodeResponse(b *testing.B) { benchDecode(b, benchResponse) }

// BenchmarkDecodeLiterals decodes what a peer without a dynamic table sends, as HAProxy does.
func BenchmarkDecodeLiterals(b *testing.B) {
	for _, huffman := range []bool{false, true} {
		name := "plain"
		if huffman {
			name = "huffman"
		}
		var block []byte
		for _, f := range benchRequest {
			id, pseudo, _ := classify([]byte(f.name))
			field := message.Field{Name: []byte(f.name), Value: []byte(f.value), ID: id}
			if huffman {
				block = appendIncremental(block, nameOf(&field, pseudo), &field)
			} else {
				block = appendLiteral(block, withoutBits, nameOf(&field, pseudo), &field)
			}
		}
		b.Run(name+"/ours", func(b *testing.B) {
			d := newDecoder(4096)
			arena := make([]byte, 0, 4096)
			var f Field
			b.ReportAllocs()
			for b.Loop() {
				decodeOnce(d, block, arena[:0], &f)
			}
		})
		b.Run(name+"/xnet", func(b *testing.B) {
			o := oracle.NewDecoder(4096, func(oracle.HeaderField) {})
			b.ReportAllocs()
			for b.Loop() {
				o.Write(block)
				o.Close()
			}
		})
	}
}

// benchFields are fields as the exchange has them.
func benchFields(fields []pair) (list []message.Field, pseudos []Pseudo) {
	for _, f := range fields {
		id, pseudo, _ := classify([]byte(f.name))
		list = append(list, message.Field{Name: []byte(f.name), Value: []byte(f.value), ID: id})
		pseudos = append(pseudos, pseudo)
	}
	return list, pseudos
}

// encodeOnce encodes a message the way a connection does.
func encodeOnce(e *Encoder, dst []byte, list []message.Field, pseudos []Pseudo) []byte {
	dst = e.Begin(dst)
	for i := range list {
		switch pseudos[i] {
		case PseudoNone:
			dst = e.AppendField(dst, &list[i])
		case PseudoStatus:
			dst = e.AppendStatus(dst, 200)
		default:
			dst = e.AppendPseudo(dst, pseudos[i], list[i].Value)
		}
	}
	return dst
}

// benchMessages is how many messages benchEncode has: more than any encoder remembers.
const benchMessages = 1024

// benchEncode encodes messages in turn.
func benchEncode(b *testing.B, next func(i int) []pair) {
	b.Run("ours", func(b *testing.B) {
		e := newEncoder()
		lists, pseudos := make([][]message.Field, benchMessages), []Pseudo(nil)
		for i := range lists {
			lists[i], pseudos = benchFields(next(i))
		}
		dst := make([]byte, 0, 4096)
		i, size := 0, 0
		b.ReportAllocs()
		for b.Loop() {
			i++
			dst = encodeOnce(e, dst[:0], lists[i%benchMessages], pseudos)
			size += len(dst)
		}
		b.ReportMetric(float64(size)/float64(i), "B/message")
	})
	b.Run("xnet", func(b *testing.B) {
		o := newOracleEncoder()
		lists := make([][]oracle.HeaderField, benchMessages)
		for i := range lists {
			for _, f := range next(i) {
				lists[i] = append(lists[i], oracle.HeaderField{Name: f.name, Value: f.value})
			}
		}
		i, size := 0, 0
		b.ReportAllocs()
		for b.Loop() {
			i++
			o.buf.Reset()
			for _, f := range lists[i%benchMessages] {
				o.WriteField(f)
			}
			size += o.buf.Len()
		}
		b.ReportMetric(float64(size)/float64(i), "B/message")
	})
}

func BenchmarkEncodeRequest(b *testing.B) {
	benchEncode(b, func(int) []pair { return benchRequest })
}

func BenchmarkEncodeResponse(b *testing.B) {
	benchEncode(b, func(int) []pair { return benchResponse })
}

func BenchmarkEncodeFreshRequest(b *testing.B) { benchEncode(b, benchFresh) }

// BenchmarkEncodeManyClients encodes what a connection to an origin carries: the same clients again and again, more than fit
// the table.
func BenchmarkEncodeManyClients(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	benchEncode(b, func(i int) []pair {
		client := r.IntN(20)
		return append(benchFresh(i), pairsOf("cookie", fmt.Sprintf("session=%064x", client), "x-forwarded-for", fmt.Sprintf("10.1.2.%d", client),
			"x-client", fmt.Sprintf("a description of client %d, as long as such things are", client))...)
	})
}

var benchTexts = map[string]string{"short": "www.example.com", "long": userAgent + accept, "rare": "\x01\x02{}|~^\\\xff\xfe <>#\"'"}

func BenchmarkHuffmanDecode(b *testing.B) {
	for name, text := range benchTexts {
		coded := appendHuffman(nil, []byte(text))
		b.Run(name+"/ours", func(b *testing.B) {
			dst := make([]byte, 0, huffmanRoom(len(coded)))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := decodeHuffman(dst, coded); err != noError {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/xnet", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				oracle.HuffmanDecodeToString(coded)
			}
		})
	}
}

func BenchmarkHuffmanEncode(b *testing.B) {
	for name, text := range benchTexts {
		dst := make([]byte, 0, 1024)
		b.Run(name+"/ours", func(b *testing.B) {
			s := []byte(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				dst = appendHuffman(dst[:0], s)
			}
		})
		b.Run(name+"/xnet", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				dst = oracle.AppendHuffmanString(dst[:0], text)
			}
		})
	}
}
