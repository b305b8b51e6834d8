package http1

import (
	"strconv"
	"strings"
	"testing"
)

// headCase is an input and what becomes of it: an Error, or a text that the description of the message must equal.
type headCase struct {
	name  string
	input string
	err   Error
	want  string
	lim   *Limits
}

var (
	http10Limits = &Limits{AcceptHTTP10: true}
	http10Host   = &Limits{AcceptHTTP10: true, DefaultHostForHTTP10: "fallback"}
)

// line1 is a request with this request line.
func line1(requestLine string) string { return requestLine + "\r\nHost: a\r\n\r\n" }

var acceptedRequests = []headCase{
	{name: "plain", input: get(), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "pipelined", input: get() + "GET", want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "empty line first", input: "\r\n" + get(), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "names in lower case, values trimmed", input: get("X-A:\t 1 \t", "x-b:", "X-C:\t", "x-d:a\tb \x80\xff"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [x-a: 1] [x-b: ] [x-c: ] [x-d: a\tb \x80\xff]"},
	{name: "every token character", input: get("!#$%&'*+-.^_`|~09azAZ: 1"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [!#$%&'*+-.^_`|~09azaz: 1]"},
	{name: "unknown method", input: line1("m-Search /x HTTP/1.1"), want: "m-Search scheme= authority=a path=/x HTTP/1.1 none length=0 end=true"},
	{name: "odd but visible target", input: line1(`GET //x\^"<>{}|?a=%zz HTTP/1.1`), want: `GET scheme= authority=a path=//x\^"<>{}|?a=%zz HTTP/1.1 none length=0 end=true`},
	{name: "absolute", input: line1("GET HTTP://b:80/x?y HTTP/1.1"), want: "GET scheme=http authority=b:80 path=/x?y HTTP/1.1 none length=0 end=true"},
	{name: "absolute https", input: line1("GET https://b HTTP/1.1"), want: "GET scheme=https authority=b path=/ HTTP/1.1 none length=0 end=true"},
	{name: "absolute query only", input: line1("GET http://b?x HTTP/1.1"), want: "GET scheme=http authority=b path=?x HTTP/1.1 none length=0 end=true"},
	{name: "absolute options", input: line1("OPTIONS http://b HTTP/1.1"), want: "OPTIONS scheme=http authority=b path=* HTTP/1.1 none length=0 end=true"},
	{name: "url in path", input: line1("GET /http://b/ HTTP/1.1"), want: "GET scheme= authority=a path=/http://b/ HTTP/1.1 none length=0 end=true"},
	{name: "asterisk", input: line1("OPTIONS * HTTP/1.1"), want: "OPTIONS scheme= authority=a path=* HTTP/1.1 none length=0 end=true"},
	{name: "connect", input: line1("CONNECT b:443 HTTP/1.1"), want: "CONNECT scheme= authority=b:443 path= HTTP/1.1 none length=0 end=true"},
	{name: "connect length 0", input: "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\nContent-Length: 0\r\n\r\n", want: "CONNECT scheme= authority=b:443 path= HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "host address", input: "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:8080\r\n\r\n", want: "GET scheme= authority=[::ffff:1.2.3.4]:8080 path=/ HTTP/1.1 none length=0 end=true"},
	{name: "host empty port", input: "GET / HTTP/1.1\r\nHost: a_b.c%20:\r\n\r\n", want: "GET scheme= authority=a_b.c%20: path=/ HTTP/1.1 none length=0 end=true"},
	{name: "length", input: get("Content-Length: 9223372036854775807"), want: "GET scheme= authority=a path=/ HTTP/1.1 length length=9223372036854775807 end=false [content-length: 9223372036854775807]"},
	{name: "length 0", input: get("Content-Length: 0"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "chunked", input: get("Transfer-Encoding: ChunkeD"), want: "GET scheme= authority=a path=/ HTTP/1.1 chunked length=-1 end=false"},
	{name: "underscore is another name", input: get("Content_Length: 5", "Transfer_Encoding: chunked"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [content_length: 5] [transfer_encoding: chunked]"},
	{name: "underscore dropped", input: get("Content_Length: 5", "x-a: 1"), lim: &Limits{Underscores: UnderscoreDrop}, want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [x-a: 1]"},
	{name: "close", input: get("Connection: Close"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true close"},
	{name: "close in a list", input: get("Connection: x-a , , CLOSE", "X-A: 1"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true close"},
	{name: "connection names fields", input: get("Authorization: secret", "connection: X-a,authorization", "X-A: 1", "x-b: 2", "connection: x-c", "x-c: 3"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [x-b: 2]"},
	{name: "connection names the length", input: get("connection: content-length", "content-length: 5"), want: "GET scheme= authority=a path=/ HTTP/1.1 length length=5 end=false"},
	{name: "connection of nine", input: get("connection: a,b,c,d,e,f,g,h,i"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "connection fields", input: get("keep-alive: timeout=5", "proxy-connection: close", "http2-settings: AA", "upgrade: x"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade", input: get("Connection: keep-alive, Upgrade", "Upgrade: websocket"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true upgrade=websocket"},
	{name: "upgrade alone", input: get("Connection: upgrade"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade h2c", input: get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade list with h2c", input: get("Connection: Upgrade", "Upgrade: websocket, H2C"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade twice", input: get("Connection: Upgrade", "Upgrade: websocket", "Upgrade: x"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade empty", input: get("Connection: Upgrade", "Upgrade:"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "upgrade with a body", input: get("Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"), want: "GET scheme= authority=a path=/ HTTP/1.1 chunked length=-1 end=false"},
	{name: "te trailers", input: get("Connection: TE", "TE: deflate, Trailers", "TE: trailers"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [te: trailers]"},
	{name: "te other", input: get("TE: gzip"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "expect", input: get("Expect: 100-Continue", "Content-Length: 5"), want: "GET scheme= authority=a path=/ HTTP/1.1 length length=5 end=false expect-continue [content-length: 5]"},
	{name: "expect without a body", input: get("Expect: 100-continue"), want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true"},
	{name: "http/1.0", input: "GET / HTTP/1.0\r\nHost: a\r\n\r\n", lim: http10Limits, want: "GET scheme= authority=a path=/ HTTP/1.0 none length=0 end=true close"},
	{name: "http/1.0 keep-alive", input: "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", lim: http10Limits, want: "GET scheme= authority=a path=/ HTTP/1.0 none length=0 end=true"},
	{name: "http/1.0 without host", input: "GET / HTTP/1.0\r\n\r\n", lim: http10Host, want: "GET scheme= authority=fallback path=/ HTTP/1.0 none length=0 end=true close"},
	{name: "http/1.0 absolute without host", input: "GET http://b/ HTTP/1.0\r\n\r\n", lim: http10Host, want: "GET scheme=http authority=b path=/ HTTP/1.0 none length=0 end=true close"},
	{name: "http/1.0 expects and upgrades nothing", input: "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n", lim: http10Limits, want: "POST scheme= authority=a path=/ HTTP/1.0 length length=1 end=false close [content-length: 1]"},
	{name: "at the size limit", input: get("x: 34567890"), lim: &Limits{HeaderBytes: len(get("x: 34567890"))}, want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [x: 34567890]"},
	{name: "at the field limit", input: get("x: 1", "y: 2"), lim: &Limits{FieldCount: 3}, want: "GET scheme= authority=a path=/ HTTP/1.1 none length=0 end=true [x: 1] [y: 2]"},
}

var refusedRequests = []headCase{
	{name: "http/2 preface", input: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", err: ErrHTTP2Preface},
	{name: "tls hello", input: "\x16\x03\x01\x02", err: ErrMethod},
	{name: "two empty lines first", input: "\r\n\r\n" + get(), err: ErrMethod},
	{name: "bare lf first", input: "\n" + get(), err: ErrBareLF},
	{name: "space first", input: " " + get(), err: ErrMethod},
	{name: "method of 65", input: line1(strings.Repeat("M", 65) + " / HTTP/1.1"), err: ErrMethod},
	{name: "method alone", input: line1("GET"), err: ErrMethod},
	{name: "method not a token", input: line1("GE@T / HTTP/1.1"), err: ErrMethod},
	{name: "tab after method", input: line1("GET\t/ HTTP/1.1"), err: ErrMethod},
	{name: "two spaces before target", input: line1("GET  / HTTP/1.1"), err: ErrTarget},
	{name: "two spaces after target", input: line1("GET /  HTTP/1.1"), err: ErrVersion},
	{name: "http/0.9", input: "GET /\r\n\r\n", err: ErrVersion},
	{name: "version 1.2", input: line1("GET / HTTP/1.2"), err: ErrVersion},
	{name: "version 2.0", input: line1("GET / HTTP/2.0"), err: ErrVersion},
	{name: "version in lower case", input: line1("GET / http/1.1"), err: ErrVersion},
	{name: "version with a zero", input: line1("GET / HTTP/1.01"), err: ErrVersion},
	{name: "version short", input: "GET / HTTP/1\r\n\r\n", err: ErrVersion},
	{name: "space after version", input: line1("GET / HTTP/1.1 "), err: ErrVersion},
	{name: "http/1.0", input: "GET / HTTP/1.0\r\n\r\n", err: ErrHTTP10},
	{name: "bare lf after version", input: "GET / HTTP/1.1\nHost: a\r\n\r\n", err: ErrBareLF},
	{name: "bare cr after version", input: "GET / HTTP/1.1\rHost: a\r\n\r\n", err: ErrBareCR},
	{name: "bare lf after target", input: "GET /\n\r\n\r\n", err: ErrBareLF},
	{name: "bare cr in target", input: line1("GET /\rx HTTP/1.1"), err: ErrBareCR},
	{name: "del in target", input: line1("GET /\x7f HTTP/1.1"), err: ErrTargetCharacter},
	{name: "utf-8 in target", input: line1("GET /\u00fc HTTP/1.1"), err: ErrTargetCharacter},
	{name: "tab in target", input: line1("GET /\tx HTTP/1.1"), err: ErrTargetCharacter},
	{name: "fragment", input: line1("GET /x#y HTTP/1.1"), err: ErrFragment},
	{name: "fragment in absolute", input: line1("GET http://a/#y HTTP/1.1"), err: ErrFragment},
	{name: "relative", input: line1("GET x HTTP/1.1"), err: ErrTarget},
	{name: "asterisk for get", input: line1("GET * HTTP/1.1"), err: ErrTarget},
	{name: "authority for get", input: line1("GET a:80 HTTP/1.1"), err: ErrTarget},
	{name: "path for connect", input: line1("CONNECT / HTTP/1.1"), err: ErrTarget},
	{name: "url for connect", input: line1("CONNECT http://a/ HTTP/1.1"), err: ErrTarget},
	{name: "connect without port", input: line1("CONNECT a HTTP/1.1"), err: ErrTarget},
	{name: "connect with empty port", input: line1("CONNECT a: HTTP/1.1"), err: ErrTarget},
	{name: "user information", input: line1("GET http://u:p@a/ HTTP/1.1"), err: ErrTarget},
	{name: "absolute without host", input: line1("GET http:///x HTTP/1.1"), err: ErrTarget},
	{name: "other scheme", input: line1("GET ftp://a/ HTTP/1.1"), err: ErrScheme},
	{name: "empty scheme", input: line1("GET ://a/ HTTP/1.1"), err: ErrScheme},

	{name: "field on first line folded", input: "GET / HTTP/1.1\r\n Host: a\r\n\r\n", err: ErrObsFold},
	{name: "folded", input: get("x: 1", " 2"), err: ErrObsFold},
	{name: "folded with tab", input: get("x: 1", "\t2"), err: ErrObsFold},
	{name: "space before colon", input: get("Content-Length : 5"), err: ErrSpaceBeforeColon},
	{name: "tab before colon", input: get("Transfer-Encoding\t: chunked"), err: ErrSpaceBeforeColon},
	{name: "space in name", input: get("x y: 1"), err: ErrSpaceBeforeColon},
	{name: "no colon", input: get("xyz"), err: ErrNoColon},
	{name: "empty name", input: get(": x"), err: ErrEmptyName},
	{name: "quote in name", input: get(`x": 1`), err: ErrNameCharacter},
	{name: "high byte in name", input: get("x\x80: 1"), err: ErrNameCharacter},
	{name: "bare lf in name", input: get("x\ny: 1"), err: ErrBareLF},
	{name: "bare cr in name", input: get("x\ry: 1"), err: ErrBareCR},
	{name: "bare lf after value", input: get("x: 1\ny: 2"), err: ErrBareLF},
	{name: "bare cr in value", input: get("x: 1\ry: 2"), err: ErrBareCR},
	{name: "cr cr lf", input: get("x: 1\r"), err: ErrBareCR},
	{name: "bare lf ends head", input: "GET / HTTP/1.1\r\nHost: a\r\n\n", err: ErrBareLF},
	{name: "bare cr ends head", input: "GET / HTTP/1.1\r\nHost: a\r\n\rx\r\n", err: ErrBareCR},
	{name: "nul in value", input: get("x: 1234567\x001234567890"), err: ErrValueCharacter},
	{name: "underscore", input: get("x_forwarded_for: 1"), lim: &Limits{Underscores: UnderscoreReject}, err: ErrUnderscore},
	{name: "above the size limit", input: get("x: 34567890"), lim: &Limits{HeaderBytes: len(get("x: 34567890")) - 1}, err: ErrHeadersTooLarge},
	{name: "request line above the size limit", input: get(), lim: &Limits{HeaderBytes: 10}, err: ErrHeadersTooLarge},
	{name: "one endless line", input: "GET /" + strings.Repeat("x", 100), lim: &Limits{HeaderBytes: 100}, err: ErrHeadersTooLarge},
	{name: "size before syntax", input: get("bad"), lim: &Limits{HeaderBytes: 27}, err: ErrHeadersTooLarge},
	{name: "above the field limit", input: get("x: 1", "y: 2"), lim: &Limits{FieldCount: 2}, err: ErrTooManyFields},

	{name: "no host", input: "GET / HTTP/1.1\r\n\r\n", err: ErrMissingHost},
	{name: "absolute without host", input: "GET http://a/ HTTP/1.1\r\n\r\n", err: ErrMissingHost},
	{name: "http/1.0 without host or default", input: "GET / HTTP/1.0\r\n\r\n", lim: http10Limits, err: ErrMissingHost},
	{name: "host twice", input: get("host: a"), err: ErrDuplicateHost},
	{name: "absolute with a bad host", input: "GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", err: ErrInvalidHost},

	{name: "length twice", input: get("content-length: 5", "content-length: 5"), err: ErrDuplicateContentLength},
	{name: "two lengths", input: get("content-length: 5", "content-length: 6"), err: ErrDuplicateContentLength},
	{name: "length and chunked", input: get("content-length: 5", "transfer-encoding: chunked"), err: ErrLengthAndChunked},
	{name: "chunked and length", input: get("transfer-encoding: chunked", "content-length: 0"), err: ErrLengthAndChunked},
	{name: "chunked twice", input: get("transfer-encoding: chunked", "transfer-encoding: chunked"), err: ErrTransferEncoding},
	{name: "chunked in http/1.0", input: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", lim: http10Limits, err: ErrTransferEncodingHTTP10},
	{name: "connect with length", input: "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", err: ErrBodyOnConnect},
	{name: "connect chunked", input: "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", err: ErrBodyOnConnect},
	{name: "connection of ten", input: get("connection: a,b,c,d,e,f,g,h,i,j"), err: ErrConnectionField},
	{name: "connection of ten in lines", input: get(strings.Split(strings.Repeat("connection: close\n", 9)+"connection: a", "\n")...), err: ErrConnectionField},
	{name: "ten times close", input: get(strings.Split(strings.Repeat("connection: close\n", 9)+"connection: close", "\n")...), err: ErrConnectionField},
	{name: "connection names a pseudo-header", input: get("connection: :path"), err: ErrConnectionField},
	{name: "connection names x-forwarded-for", input: get("connection: close, X-Forwarded-For"), err: ErrConnectionField},
	{name: "connection names x-forwarded-host", input: get("connection: x-forwarded-host"), err: ErrConnectionField},
	{name: "connection names x-forwarded-proto", input: get("connection: x-forwarded-proto"), err: ErrConnectionField},
	{name: "expect other", input: get("Expect: 100-continue, x"), err: ErrExpect},
	{name: "expect empty", input: get("Expect:"), err: ErrExpect},
}

// fieldValues are refused values of one field, each a case of its own.
var refusedValues = []struct {
	field  string
	err    Error
	values []string
}{
	{"Content-Length", ErrContentLength, []string{"", "+5", "-1", "0x5", "1_0", "010", "00", "5 5", "5, 5", "5, 6", "5,", "5.0", "1e3", "5;",
		"9223372036854775808", "18446744073709551621", "99999999999999999999", "\u0665", "five"}},
	{"Transfer-Encoding", ErrTransferEncoding, []string{"", "xchunked", ",chunked", "chunked,", "identity", "chunked, identity", "identity, chunked",
		"gzip, chunked", "chunked, chunked", `"chunked"`, "'chunked'", "chunked;q=1", "chunked x", "chun\u212Aed", "cow"}},
	{"Transfer-Encoding", ErrValueCharacter, []string{"\vchunked", "chunked\f", "\x00chunked", "chunked\x7f"}},
	{"Host", ErrInvalidHost, []string{"", ":80", "a b", "a,b", "u@a", "u:p@a", "a/", "a/b", "a?b", "a\\b", "http://a", "a:b", "a:80:80", "a:65536",
		"a:000080", "a:+80", "a:80 ", "[::1", "[]", "[::1]x", "[fe80::1%eth0]", "::1", "a%", "a%2", "a%zz", "a\u00fc", `a"`, "<a>", "a|b"}},
}

func requestCases() []headCase {
	cases := append(append([]headCase{}, acceptedRequests...), refusedRequests...)
	for _, group := range refusedValues {
		for _, value := range group.values {
			input := get(group.field + ": " + value)
			if group.field == "Host" {
				input = "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"
			}
			if trimmed := strings.TrimRight(value, " "); trimmed != value {
				continue // that is no part of the value
			}
			cases = append(cases, headCase{name: group.field + " " + strconv.Quote(value), input: input, err: group.err})
		}
	}
	return cases
}

func (c *headCase) limits() *Limits {
	if c.lim == nil {
		return &Limits{}
	}
	return c.lim
}

func TestRequestCorpus(t *testing.T) {
	for _, test := range requestCases() {
		t.Run(test.name, func(t *testing.T) {
			outcome := requestOutcome(test.input, test.limits())
			if test.err == noError {
				length := len(strings.TrimSuffix(test.input, "GET"))
				if want := strconv.Itoa(length) + " " + test.want; outcome != want {
					t.Fatalf("got\n%s\nwant\n%s", outcome, want)
				}
			} else if !strings.HasSuffix(outcome, test.err.Error()) {
				t.Fatalf("got %s\nwant %s", outcome, test.err.Error())
			}
			eachSegmentation(test.input, func(how string, cuts ...int) {
				if got := requestOutcome(test.input, test.limits(), cuts...); got != outcome {
					t.Fatalf("%s:\n got %s\nwant %s", how, got, outcome)
				}
			})
		})
	}
}

func TestTruncatedRequestIsIncomplete(t *testing.T) {
	for _, test := range acceptedRequests {
		head := strings.TrimSuffix(test.input, "GET")
		lim := *test.limits()
		lim.HeaderBytes = 0
		for i := range len(head) {
			if got := requestOutcome(head[:i], &lim); got != "incomplete" {
				t.Errorf("%s: first %d bytes: %s", test.name, i, got)
			}
		}
	}
}

// TestControlCharacters puts every byte a part of a request cannot hold into that part.
func TestControlCharacters(t *testing.T) {
	for c := range 256 {
		control := c < 0x20 || c == 0x7f
		for _, part := range []struct {
			name, before, after string
			allowed             bool
		}{
			{"method", "G", "T / HTTP/1.1\r\nHost: a\r\n\r\n", tokenLower[c] != 0},
			{"target", "GET /x", "y HTTP/1.1\r\nHost: a\r\n\r\n", !control && c < 0x80 && c != ' ' && c != '#'},
			{"target beyond a word", "GET /x", "y01234567 HTTP/1.1\r\nHost: a\r\n\r\n", !control && c < 0x80 && c != ' ' && c != '#'},
			{"name", "GET / HTTP/1.1\r\nHost: a\r\nx", "y: 1\r\n\r\n", tokenLower[c] != 0 || c == ':'},
			{"value", "GET / HTTP/1.1\r\nHost: a\r\nx: 1", "2\r\n\r\n", !control || c == '\t'},
			{"long value", "GET / HTTP/1.1\r\nHost: a\r\nx: 1234567", "1234567890\r\n\r\n", !control || c == '\t'},
		} {
			input := part.before + string([]byte{byte(c)}) + part.after
			refused := strings.HasPrefix(requestOutcome(input, &Limits{}), "refused")
			if refused == part.allowed {
				t.Errorf("%s with %#02x: refused is %t", part.name, c, refused)
			}
		}
	}
}

func TestRefusedRequestTellsMethodAndPath(t *testing.T) {
	want := `refused "HEAD" "/x": 400`
	for _, input := range []string{"HEAD /x HTTP/1.1\r\n\r\n", "HEAD /x HTTP/1.1\r\nfoo\r\n", "HEAD /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n"} {
		eachSegmentation(input, func(how string, cuts ...int) {
			if got := requestOutcome(input, &Limits{}, cuts...); !strings.HasPrefix(got, want) {
				t.Errorf("%q %s: got %s, want %s", input, how, got, want)
			}
		})
	}
}
