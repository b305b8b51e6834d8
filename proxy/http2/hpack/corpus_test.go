package hpack

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// conversation is what one connection carries in one direction: the message number i.
type conversation struct {
	name    string
	message func(i int, r *rand.Rand) []pair
}

const (
	userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	accept    = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
)

func hexOf(r *rand.Rand, n int) string {
	s := ""
	for len(s) < n {
		s += fmt.Sprintf("%016x", r.Uint64())
	}
	return s[:n]
}

func uuidOf(r *rand.Rand) string {
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", hexOf(r, 8), hexOf(r, 4), hexOf(r, 3), hexOf(r, 3), hexOf(r, 12))
}

func dateOf(i int) string { return fmt.Sprintf("Sat, 01 Aug 2026 10:%02d:%02d GMT", i/60%60, i%60) }

// conversations are sequences as they are seen on real connections.
var conversations = []conversation{
	{"browser", func(i int, r *rand.Rand) []pair {
		return pairsOf(":method", "GET", ":authority", "www.example.com", ":scheme", "https", ":path", fmt.Sprintf("/static/app/chunk.%s.js", hexOf(r, 6)),
			"sec-ch-ua", `"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"`, "sec-ch-ua-mobile", "?0", "sec-ch-ua-platform", `"Linux"`,
			"user-agent", userAgent, "accept", accept, "sec-fetch-site", "same-origin", "sec-fetch-mode", "no-cors", "sec-fetch-dest", "script",
			"referer", "https://www.example.com/start", "accept-encoding", "gzip, deflate, br, zstd", "accept-language", "en-GB,en;q=0.9,de;q=0.8",
			"cookie", "session=0123456789abcdef0123456789abcdef", "cookie", "theme=dark", "cookie", "_ga=GA1.2.1234567890.1700000000")
	}},
	{"small get", func(int, *rand.Rand) []pair {
		return pairsOf(":method", "GET", ":scheme", "http", ":authority", "localhost:10000", ":path", "/x", "user-agent", "h2load nghttp2/1.68.0")
	}},
	{"grpc call", func(i int, r *rand.Rand) []pair {
		return pairsOf(":method", "POST", ":scheme", "http", ":path", "/grpc.health.v1.Health/Check", ":authority", "health.internal:50051",
			"content-type", "application/grpc", "user-agent", "grpc-go/1.85.0", "te", "trailers", "grpc-timeout", fmt.Sprintf("%dm", 990+r.IntN(10)))
	}},
	{"grpc trailers", func(i int, _ *rand.Rand) []pair {
		if i%2 == 0 {
			return pairsOf(":status", "200", "content-type", "application/grpc")
		}
		return pairsOf("grpc-status", "0", "grpc-message", "")
	}},
	{"api call", func(i int, r *rand.Rand) []pair {
		fields := pairsOf(":method", []string{"GET", "POST", "PUT", "DELETE"}[r.IntN(4)], ":scheme", "https", ":authority", "api.example.com",
			":path", fmt.Sprintf("/v1/orders/%d?expand=items", r.IntN(1000)), "accept", "application/json", "content-type", "application/json",
			"content-length", fmt.Sprint(r.IntN(5000)), "authorization", "Bearer "+hexOf(r, 120), "user-agent", "orders-client/3.1",
			"traceparent", "00-"+hexOf(r, 32)+"-"+hexOf(r, 16)+"-01", "x-request-id", uuidOf(r), "accept-encoding", "gzip, deflate")
		fields[7].never = true
		return fields
	}},
	{"to an origin, many clients", func(i int, r *rand.Rand) []pair {
		client := r.IntN(200)
		return pairsOf(":method", "GET", ":scheme", "http", ":authority", "shop.example.com", ":path", fmt.Sprintf("/item/%d", r.IntN(300)),
			"user-agent", fmt.Sprintf("%s v%d", userAgent, client%7), "accept", accept, "accept-encoding", "gzip, deflate, br, zstd",
			"cookie", fmt.Sprintf("session=%032x; consent=1", client*7919), "x-forwarded-for", fmt.Sprintf("10.1.%d.%d", client/100, client%100),
			"x-forwarded-proto", "https", "x-request-id", uuidOf(r), "x-envoy-expected-rq-timeout-ms", "15000")
	}},
	{"html response", func(i int, r *rand.Rand) []pair {
		return pairsOf(":status", "200", "date", dateOf(i/20), "content-type", "text/html; charset=utf-8", "content-length", fmt.Sprint(1000+r.IntN(90000)),
			"server", "envoy", "vary", "accept-encoding", "cache-control", "private, no-store", "x-envoy-upstream-service-time", fmt.Sprint(r.IntN(40)),
			"set-cookie", "session="+hexOf(r, 32)+"; Path=/; Secure; HttpOnly; SameSite=Lax", "set-cookie", "theme=dark; Path=/; Max-Age=31536000",
			"strict-transport-security", "max-age=31536000; includeSubDomains", "x-frame-options", "DENY", "x-content-type-options", "nosniff")
	}},
	{"small response", func(i int, _ *rand.Rand) []pair {
		return pairsOf(":status", "200", "content-type", "text/plain", "content-length", "16", "date", dateOf(i/50), "server", "envoy",
			"x-envoy-upstream-service-time", fmt.Sprint(i%3))
	}},
	{"static files", func(i int, r *rand.Rand) []pair {
		status := []string{"200", "304", "404", "206", "301", "503"}[r.IntN(6)]
		return pairsOf(":status", status, "etag", `"`+hexOf(r, 16)+`"`, "last-modified", dateOf(r.IntN(3600)), "date", dateOf(i/30),
			"cache-control", "public, max-age=31536000, immutable", "content-type", []string{"text/css", "image/avif", "font/woff2"}[r.IntN(3)],
			"accept-ranges", "bytes", "age", fmt.Sprint(r.IntN(86400)), "access-control-allow-origin", "*")
	}},
	{"large fields", func(i int, r *rand.Rand) []pair {
		return pairsOf(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/", "cookie", hexOf(r, 3000),
			"x-token", hexOf(rand.New(rand.NewPCG(1, 1)), 900), "x-token", hexOf(rand.New(rand.NewPCG(2, 2)), 1200))
	}},
	{"odd fields", func(i int, r *rand.Rand) []pair {
		return []pair{{name: ":method", value: "CONNECT"}, {name: ":protocol", value: "websocket"}, {name: "x-empty"}, {name: "cookie"},
			{name: "cookie", value: "id=17"}, {name: "x-secret", value: "s3cret", never: true}, {name: "proxy-authorization", value: "Basic eDp5"},
			{name: "x-bytes", value: string([]byte{0x80, 0xff, '\t', byte(0xa0 + i%4)})}}
	}},
}

const corpusMessages = 100

// TestCorpus carries each conversation through our encoder to both decoders, and through x/net's encoder to ours.
func TestCorpus(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			ours, theirs := newEncoder(), newOracleEncoder()
			ourDecoder, ofTheirs, theirDecoder := newDecoder(4096), newDecoder(4096), newOracleDecoder(4096)
			plain, ourSize, theirSize := 0, 0, 0
			for i := range corpusMessages {
				fields := c.message(i, r)
				block, other := encodeBlock(t, ours, fields), theirs.encode(t, fields)
				want := withSecrets(fields)
				wantBlock(t, ourDecoder, block, want)
				wantBlock(t, ofTheirs, other, fields)
				if got, err := theirDecoder.decode(block); err != nil || !samePairs(got, want) {
					t.Fatalf("x/net decodes ours: %v\n got %v\nwant %v", err, got, want)
				}
				for _, f := range fields {
					plain += len(f.name) + len(f.value) + 4
				}
				ourSize, theirSize = ourSize+len(block), theirSize+len(other)
			}
			t.Logf("%d messages: %d bytes, of which x/net makes %d, we %d; %d insertions", corpusMessages, plain, theirSize, ourSize, ours.table.inserted)
		})
	}
}

// withSecrets marks what our encoder never indexes, whoever sent it.
func withSecrets(fields []pair) []pair {
	marked := append([]pair{}, fields...)
	for i := range marked {
		f := &marked[i]
		switch f.name {
		case "authorization", "proxy-authorization":
			f.never = true
		case "cookie":
			f.never = f.never || len(f.value) <= shortCookie
		}
	}
	return marked
}
