package http1

import (
	"strconv"
	"strings"
	"testing"
)

// responseCase is a headCase with what the response answers. What follows the head in input is not part of it.
type responseCase struct {
	name  string
	input string
	to    responseTo
	err   Error
	want  string
	lim   *Limits
}

var acceptedResponses = []responseCase{
	{name: "plain", input: ok("Content-Length: 5", "X-A: 1"), want: "200 HTTP/1.1 length length=5 end=false [content-length: 5] [x-a: 1]"},
	{name: "no reason", input: "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", want: "404 HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "no space before no reason", input: "HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n", want: "599 HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "long reason", input: "HTTP/1.1 200 it is \t fine \xff\r\nContent-Length: 1\r\n\r\n", want: "200 HTTP/1.1 length length=1 end=false [content-length: 1]"},
	{name: "chunked", input: ok("Transfer-Encoding: chunked"), want: "200 HTTP/1.1 chunked length=-1 end=false"},
	{name: "until close", input: ok(), want: "200 HTTP/1.1 close length=-1 end=false close"},
	{name: "close", input: ok("Connection: close", "Content-Length: 1"), want: "200 HTTP/1.1 length length=1 end=false close [content-length: 1]"},
	{name: "http/1.0 closes", input: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", want: "200 HTTP/1.0 length length=1 end=false close [content-length: 1]"},
	{name: "http/1.0 keeps alive", input: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\n", want: "200 HTTP/1.0 length length=1 end=false [content-length: 1]"},
	{name: "http/1.0 until close", input: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", want: "200 HTTP/1.0 close length=-1 end=false close"},
	{name: "to head", input: ok("Content-Length: 5"), to: responseTo{head: true}, want: "200 HTTP/1.1 none length=5 end=true [content-length: 5]"},
	{name: "to head, chunked", input: ok("Transfer-Encoding: chunked"), to: responseTo{head: true}, want: "200 HTTP/1.1 none length=-1 end=true"},
	{name: "to head, nothing", input: ok(), to: responseTo{head: true}, want: "200 HTTP/1.1 none length=-1 end=true"},
	{name: "204", input: "HTTP/1.1 204 No Content\r\n\r\n", want: "204 HTTP/1.1 none length=-1 end=true"},
	{name: "204 length 0", input: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", want: "204 HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "304 with length", input: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", want: "304 HTTP/1.1 none length=5 end=true [content-length: 5]"},
	{name: "304 chunked", input: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", want: "304 HTTP/1.1 none length=-1 end=true"},
	{name: "100", input: "HTTP/1.1 100 Continue\r\n\r\n", want: "100 HTTP/1.1 none length=-1 end=true"},
	{name: "103", input: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", want: "103 HTTP/1.1 none length=-1 end=true [link: </a>]"},
	{name: "101", input: "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", want: "101 HTTP/1.1 none length=-1 end=true upgrade=websocket"},
	{name: "426", input: "HTTP/1.1 426 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", want: "426 HTTP/1.1 none length=0 end=true [content-length: 0]"},
	{name: "tunnel", input: ok("Content-Length: 5"), to: responseTo{connect: true}, want: "200 HTTP/1.1 none length=-1 end=true"},
	{name: "tunnel chunked", input: ok("Transfer-Encoding: chunked"), to: responseTo{connect: true}, want: "200 HTTP/1.1 none length=-1 end=true"},
	{name: "no tunnel", input: "HTTP/1.1 403 x\r\nContent-Length: 5\r\n\r\n", to: responseTo{connect: true}, want: "403 HTTP/1.1 length length=5 end=false [content-length: 5]"},
	{name: "connection fields", input: ok("Content-Length: 1", "Keep-Alive: x", "Proxy-Connection: close", "Upgrade: x", "Connection: x-a, x-forwarded-for", "X-A: 1", "X-Forwarded-For: 2"), want: "200 HTTP/1.1 length length=1 end=false [content-length: 1]"},
}

// status is a response with this status line.
func status(line string) string { return line + "\r\nContent-Length: 0\r\n\r\n" }

var refusedResponses = []responseCase{
	{name: "empty line first", input: "\r\n" + ok(), err: ErrStatusLine},
	{name: "garbage", input: "SSH-2.0-x", err: ErrStatusLine},
	{name: "icy", input: status("HTTP 200 OK"), err: ErrStatusLine},
	{name: "version 2", input: status("HTTP/2 200 OK"), err: ErrStatusLine},
	{name: "version 1.2", input: status("HTTP/1.2 200 OK"), err: ErrStatusLine},
	{name: "two spaces", input: status("HTTP/1.1  200 OK"), err: ErrStatusLine},
	{name: "two digits", input: status("HTTP/1.1 20"), err: ErrStatusLine},
	{name: "four digits", input: status("HTTP/1.1 2000 OK"), err: ErrStatusLine},
	{name: "sign", input: status("HTTP/1.1 +20 OK"), err: ErrStatusLine},
	{name: "letters", input: status("HTTP/1.1 2xx OK"), err: ErrStatusLine},
	{name: "no code", input: status("HTTP/1.1 OK"), err: ErrStatusLine},
	{name: "tab after code", input: status("HTTP/1.1 200\tOK"), err: ErrStatusLine},
	{name: "099", input: status("HTTP/1.1 099 x"), err: ErrStatusCode},
	{name: "600", input: status("HTTP/1.1 600 x"), err: ErrStatusCode},
	{name: "nul in reason", input: status("HTTP/1.1 200 O\x00K"), err: ErrStatusLine},
	{name: "bare cr in reason", input: status("HTTP/1.1 200 O\rK"), err: ErrBareCR},
	{name: "bare lf after reason", input: "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", err: ErrBareLF},
	{name: "bare lf after code", input: "HTTP/1.1 200\nContent-Length: 0\r\n\r\n", err: ErrBareLF},
	{name: "folded", input: ok("x: 1", " 2"), err: ErrObsFold},
	{name: "no colon", input: ok("x"), err: ErrNoColon},
	{name: "nul in value", input: ok("x: \x00"), err: ErrValueCharacter},
	{name: "bare lf ends head", input: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", err: ErrBareLF},
	{name: "two lengths", input: ok("Content-Length: 5", "Content-Length: 6"), err: ErrDuplicateContentLength},
	{name: "length list", input: ok("Content-Length: 5, 5"), err: ErrContentLength},
	{name: "length and chunked", input: ok("Content-Length: 5", "Transfer-Encoding: chunked"), err: ErrLengthAndChunked},
	{name: "unknown coding", input: ok("Transfer-Encoding: gzip, chunked"), err: ErrTransferEncoding},
	{name: "chunked twice", input: ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), err: ErrTransferEncoding},
	{name: "chunked in http/1.0", input: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", err: ErrTransferEncodingHTTP10},
	{name: "204 with length", input: "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", err: ErrLengthNotAllowed},
	{name: "204 chunked", input: "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", err: ErrTransferEncodingNotAllowed},
	{name: "204 with length to head", input: "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", to: responseTo{head: true}, err: ErrLengthNotAllowed},
	{name: "103 with length", input: "HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", err: ErrLengthNotAllowed},
	{name: "101 chunked", input: "HTTP/1.1 101 x\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n", err: ErrTransferEncodingNotAllowed},
	{name: "101 without upgrade", input: "HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", err: ErrSwitchWithoutUpgrade},
	{name: "101 to h2c", input: "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", err: ErrSwitchWithoutUpgrade},
	{name: "connection of ten", input: ok("connection: a,b,c,d,e,f,g,h,i,j"), err: ErrConnectionField},
	{name: "endless status line", input: "HTTP/1.1 200 " + strings.Repeat("x", 100), lim: &Limits{HeaderBytes: 100}, err: ErrHeadersTooLarge},
	{name: "above the size limit", input: ok("x: 1"), lim: &Limits{HeaderBytes: len(ok("x: 1")) - 1}, err: ErrHeadersTooLarge},
	{name: "above the field limit", input: ok("x: 1", "x: 2"), lim: &Limits{FieldCount: 1}, err: ErrTooManyFields},
}

func (c *responseCase) limits() *Limits {
	if c.lim == nil {
		return &Limits{}
	}
	return c.lim
}

func TestResponseCorpus(t *testing.T) {
	for _, test := range append(append([]responseCase{}, acceptedResponses...), refusedResponses...) {
		t.Run(test.name, func(t *testing.T) {
			outcome := responseOutcome(test.input, test.to, test.limits())
			if test.err == noError {
				if want := strconv.Itoa(len(test.input)) + " " + test.want; outcome != want {
					t.Fatalf("got\n%s\nwant\n%s", outcome, want)
				}
			} else if !strings.HasSuffix(outcome, test.err.Error()) {
				t.Fatalf("got %s\nwant %s", outcome, test.err.Error())
			}
			eachSegmentation(test.input, func(how string, cuts ...int) {
				if got := responseOutcome(test.input, test.to, test.limits(), cuts...); got != outcome {
					t.Fatalf("%s:\n got %s\nwant %s", how, got, outcome)
				}
			})
		})
	}
}

func TestTruncatedResponseIsIncomplete(t *testing.T) {
	for _, test := range acceptedResponses {
		for i := range len(test.input) {
			if got := responseOutcome(test.input[:i], test.to, &Limits{}); got != "incomplete" {
				t.Errorf("%s: first %d bytes: %s", test.name, i, got)
			}
		}
	}
}
