package http1

import (
	"strings"
	"testing"
)

// chunkedCase is a chunked body with what becomes of it: the body and the trailers, or the body up to an Error.
type chunkedCase struct {
	name  string
	input string
	body  string
	rest  string // after the body
	want  string // trailers
	err   Error
	lim   *Limits
}

var (
	withTrailers = &Limits{EnableTrailers: true}
	ext4k        = "1;" + strings.Repeat("x", maxChunkExtensionBytes-2) + "\r\na\r\n"
)

var acceptedChunked = []chunkedCase{
	{name: "empty", input: "0\r\n\r\n"},
	{name: "empty in many zeros", input: "0000000000000000\r\n\r\n"},
	{name: "two chunks", input: "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", body: "hello0123456789"},
	{name: "data like framing", input: "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", body: "\r\n0\r\n\r\n"},
	{name: "followed", input: "1\r\na\r\n0\r\n\r\n", rest: "GET / HTTP/1.1\r\n", body: "a"},
	{name: "extensions", input: "1;a=b\r\na\r\n1;a=\"\t;;\x80\"\r\nb\r\n0;\r\n\r\n", body: "ab"},
	{name: "extensions at the limit", input: ext4k + "0;\r\n\r\n", body: "a"},
	{name: "trailers", input: "0\r\nX-A: 1\r\nx-b:\r\n\r\n", want: " [x-a: 1] [x-b: ]", lim: withTrailers},
	{name: "trailers not enabled", input: "0\r\nX-A: 1\r\n\r\n"},
	{name: "trailers forbidden", lim: withTrailers, want: " [grpc-status: 0]", input: "0\r\n" + lines("Content-Length: 5", "Transfer-Encoding: chunked", "Host: x",
		"Authorization: x", "Cookie: x", "Set-Cookie: x", "TE: x", "Trailer: x", "Content-Encoding: x", "Content-Type: x", "Content-Range: x",
		"Connection: x", "Keep-Alive: x", "Proxy-Connection: x", "Upgrade: x", "HTTP2-Settings: x", "Expect: x", "X-Forwarded-For: x",
		"grpc-status: 0", "")},
	{name: "trailer with underscore dropped", input: "0\r\nx_a: 1\r\nx-b: 2\r\n\r\n", want: " [x-b: 2]", lim: &Limits{EnableTrailers: true, Underscores: UnderscoreDrop}},
	{name: "trailers at the limits", input: "0\r\nx: 1\r\ny: 2\r\n\r\n", want: " [x: 1] [y: 2]", lim: &Limits{EnableTrailers: true, HeaderBytes: 14, FieldCount: 2}},
}

var refusedChunked = []chunkedCase{
	{name: "empty size", input: "\r\n", err: ErrChunkSize},
	{name: "empty size with extension", input: ";x\r\n", err: ErrChunkSize},
	{name: "prefix", input: "0x5\r\nhello\r\n", err: ErrChunkSize},
	{name: "plus", input: "+5\r\nhello\r\n", err: ErrChunkSize},
	{name: "minus", input: "-0\r\n\r\n", err: ErrChunkSize},
	{name: "space before", input: " 5\r\nhello\r\n", err: ErrChunkSize},
	{name: "space behind", input: "5 \r\nhello\r\n", err: ErrChunkSize},
	{name: "space before extension", input: "5 ;x\r\nhello\r\n", err: ErrChunkSize},
	{name: "tab behind", input: "5\t\r\nhello\r\n", err: ErrChunkSize},
	{name: "digit separator", input: "5_0\r\n", err: ErrChunkSize},
	{name: "not hexadecimal", input: "g\r\n", err: ErrChunkSize},
	{name: "comma", input: "5,5\r\n", err: ErrChunkSize},
	{name: "nul", input: "5\x00\r\n", err: ErrChunkSize},
	{name: "2^63", input: "8000000000000000\r\n", err: ErrChunkSize},
	{name: "2^64-1", input: "ffffffffffffffff\r\n", err: ErrChunkSize},
	{name: "17 digits", input: "ffffffffffffffff1\r\n", err: ErrChunkSize},
	{name: "17 zeros", input: "00000000000000000\r\n\r\n", err: ErrChunkSize},
	{name: "size ends in lf", input: "5\nhello\r\n0\r\n\r\n", err: ErrBareLF},
	{name: "size ends in cr", input: "5\rhello\r\n0\r\n\r\n", err: ErrBareCR},
	{name: "extension ends in lf", input: "5;\nhello\r\n0\r\n\r\n", err: ErrBareLF},
	{name: "cr in extension", input: "5;a\rb\r\nhello\r\n", err: ErrBareCR},
	{name: "nul in extension", input: "5;a\x00b\r\nhello\r\n", err: ErrChunkExtension},
	{name: "extensions above the limit", input: ext4k + "0;x\r\n\r\n", body: "a", err: ErrChunkExtensionsTooLarge},
	{name: "one endless extension", input: "1;" + strings.Repeat("x", maxChunkExtensionBytes), err: ErrChunkExtensionsTooLarge},
	{name: "spill", input: "5\r\nhello!\r\n0\r\n\r\n", body: "hello", err: ErrChunkEnd},
	{name: "two stray bytes", input: "5\r\nhelloXX0\r\n\r\n", body: "hello", err: ErrChunkEnd},
	{name: "data ends in lf", input: "5\r\nhello\n0\r\n\r\n", body: "hello", err: ErrChunkEnd},
	{name: "data ends in cr", input: "5\r\nhello\r0\r\n\r\n", body: "hello", err: ErrChunkEnd},
	{name: "bad second size", input: "1\r\na\r\n0x\r\n", body: "a", err: ErrChunkSize},
	{name: "last chunk ends in lf", input: "0\n\r\n", err: ErrBareLF},
	{name: "trailer ends in lf", input: "1\r\na\r\n0\r\nx: 1\n\r\n", body: "a", err: ErrBareLF},
	{name: "body ends in lf", input: "0\r\n\n", err: ErrBareLF},
	{name: "cr in trailer", input: "0\r\nx: 1\r2\r\n\r\n", err: ErrBareCR},
	{name: "folded trailer", input: "0\r\nx: 1\r\n 2\r\n\r\n", err: ErrObsFold},
	{name: "trailer without colon", input: "0\r\nGET / HTTP/1.1\r\n\r\n", err: ErrSpaceBeforeColon},
	{name: "nul in trailer", input: "0\r\nx: \x00\r\n\r\n", err: ErrValueCharacter},
	{name: "trailer with underscore", input: "0\r\nx_a: 1\r\n\r\n", err: ErrUnderscore, lim: &Limits{Underscores: UnderscoreReject}},
	{name: "trailers above the size limit", input: "0\r\nx: 1\r\ny: 2\r\n\r\n", err: ErrTrailersTooLarge, lim: &Limits{HeaderBytes: 13}},
	{name: "one endless trailer", input: "0\r\nx: " + strings.Repeat("x", 100), err: ErrTrailersTooLarge, lim: &Limits{HeaderBytes: 100}},
	{name: "trailers above the field limit", input: "0\r\nx: 1\r\ny: 2\r\n\r\n", err: ErrTooManyTrailers, lim: &Limits{FieldCount: 1}},
}

func (c *chunkedCase) limits() *Limits {
	if c.lim == nil {
		return &Limits{}
	}
	return c.lim
}

// segmentations is eachSegmentation, which is quadratic, for what is not too long.
func (c *chunkedCase) segmentations(check func(how string, cuts ...int)) {
	input := c.input + c.rest
	if len(input) < 1000 {
		eachSegmentation(input, check)
		return
	}
	check("byte by byte", allCuts(len(input))...)
}

func TestChunkedCorpus(t *testing.T) {
	for _, test := range append(append([]chunkedCase{}, acceptedChunked...), refusedChunked...) {
		t.Run(test.name, func(t *testing.T) {
			test.segmentations(func(how string, cuts ...int) {
				var d BodyDecoder
				d.Init(FramingChunked, 0, test.limits())
				body, n, err := decodeAll(&d, test.input+test.rest, cuts...)
				if body != test.body || err != test.err {
					t.Fatalf("%s: got %q, %v, want %q, %v", how, body, err, test.body, test.err)
				}
				if err == noError && (n != len(test.input) || !d.Done() || !d.EOF()) {
					t.Fatalf("%s: consumed %d of %d, done is %t", how, n, len(test.input), d.Done())
				}
				if err != noError && (d.Done() || d.EOF() || d.Trailers() != nil) {
					t.Fatalf("%s: refused and done", how)
				}
				var trailers strings.Builder
				if d.Trailers() != nil {
					describeFields(&trailers, d.Trailers())
				}
				if trailers.String() != test.want {
					t.Fatalf("%s: trailers %q, want %q", how, trailers.String(), test.want)
				}
			})
		})
	}
}

func TestTruncatedChunkedIsIncomplete(t *testing.T) {
	for _, test := range acceptedChunked {
		for i := range len(test.input) {
			var d BodyDecoder
			d.Init(FramingChunked, 0, test.limits())
			_, n, err := decodeAll(&d, test.input[:i])
			if err != noError || d.Done() || d.EOF() || n != i {
				t.Fatalf("%s: first %d bytes: consumed %d, err %v, done %t", test.name, i, n, err, d.Done())
			}
		}
	}
}

func TestErrorBehindDataComesOnce(t *testing.T) {
	var d BodyDecoder
	d.Init(FramingChunked, 0, &Limits{})
	input := []byte("1\r\naX")
	data, n, done, err := d.Next(input)
	if string(data) != "a" || n >= len(input) || done || err != noError {
		t.Fatalf("got %q, %d, %t, %v", data, n, done, err)
	}
	for range 2 {
		if data, n, done, err = d.Next(input[n:]); len(data) != 0 || n != 0 || done || err != ErrChunkEnd {
			t.Fatalf("got %q, %d, %t, %v", data, n, done, err)
		}
	}
}

func TestSmallChunkedBodyTakesOneCall(t *testing.T) {
	var d BodyDecoder
	d.Init(FramingChunked, 0, &Limits{})
	data, n, done, err := d.Next([]byte("2\r\nab\r\n0\r\n\r\nGET"))
	if string(data) != "ab" || n != 12 || !done || err != noError {
		t.Errorf("got %q, %d, %t, %v", data, n, done, err)
	}
}

func TestLengthBody(t *testing.T) {
	var d BodyDecoder
	d.Init(FramingLength, 5, nil)
	for _, step := range []struct {
		input, data string
		n           int
		remaining   int64
		done        bool
	}{
		{"", "", 0, 5, false},
		{"ab", "ab", 2, 3, false},
		{"cdeGET", "cde", 3, 0, true},
		{"GET", "", 0, 0, true},
	} {
		data, n, done, err := d.Next([]byte(step.input))
		if string(data) != step.data || n != step.n || done != step.done || err != noError || d.Remaining() != step.remaining || d.EOF() != step.done {
			t.Errorf("%q: got %q, %d, %t, %v, %d remain", step.input, data, n, done, err, d.Remaining())
		}
	}
}

func TestCloseBody(t *testing.T) {
	var d BodyDecoder
	d.Init(FramingClose, 0, nil)
	data, n, done, err := d.Next([]byte("abc"))
	if string(data) != "abc" || n != 3 || done || err != noError || d.Remaining() != -1 {
		t.Errorf("got %q, %d, %t, %v", data, n, done, err)
	}
	if !d.EOF() || !d.Done() {
		t.Error("the end of the connection is not the end of the body")
	}
}

func TestNoBody(t *testing.T) {
	for _, f := range []Framing{FramingNone, FramingLength} {
		var d BodyDecoder
		d.Init(f, 0, nil)
		data, n, done, err := d.Next([]byte("GET"))
		if len(data) != 0 || n != 0 || !done || err != noError || !d.Done() || !d.EOF() {
			t.Errorf("%v: got %q, %d, %t, %v", f, data, n, done, err)
		}
	}
}
