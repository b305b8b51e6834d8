package http1

import (
	"fmt"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Every parser and decoder is run on every input in one piece, in two pieces cut at every offset, and byte by byte. Each
// call gets a buffer of its own, and the one before is overwritten, so that anything kept across calls shows. The outcome
// is compared as text.

// parseHead is one of the two head parsers, without its types.
type parseHead func(buf []byte) (n int, err Error)

// feed gives parse growing prefixes of input, which end at the cuts and then at the end, and returns the result of the
// last call, together with the buffer it was given.
func feed(parse parseHead, input string, cuts ...int) (n int, err Error, buf []byte) {
	for _, cut := range append(cuts, len(input)) {
		for i := range buf {
			buf[i] = 0xee
		}
		buf = []byte(input[:cut])
		if n, err = parse(buf); n > 0 || err != noError {
			return n, err, buf
		}
	}
	return n, err, buf
}

// allCuts returns the cuts that deliver n bytes one at a time.
func allCuts(n int) []int {
	cuts := make([]int, 0, n)
	for i := 1; i < n; i++ {
		cuts = append(cuts, i)
	}
	return cuts
}

// eachSegmentation calls check with every way to cut input that the tests use.
func eachSegmentation(input string, check func(name string, cuts ...int)) {
	check("whole")
	for i := 1; i < len(input); i++ {
		check(fmt.Sprintf("cut at %d", i), i)
	}
	check("byte by byte", allCuts(len(input))...)
}

func requestOutcome(input string, lim *Limits, cuts ...int) string {
	var p RequestParser
	var req message.Request
	n, err, _ := feed(func(buf []byte) (int, Error) { return p.Parse(buf, &req, lim) }, input, cuts...)
	switch {
	case err != noError:
		return fmt.Sprintf("refused %q %q: %d %s: %s", req.Method, req.Path, err.Status(), err.Details(), err.Error())
	case n == 0:
		return "incomplete"
	}
	return describeRequest(n, &req, p.Framing())
}

func describeRequest(n int, req *message.Request, f Framing) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %s scheme=%s authority=%s path=%s %v %v length=%d end=%t", n, req.Method, req.Scheme, req.Authority,
		req.Path, req.Version, f, req.ContentLength, req.EndStream)
	if req.Upgrade != nil {
		fmt.Fprintf(&s, " upgrade=%s", req.Upgrade)
	}
	if req.ExpectContinue {
		s.WriteString(" expect-continue")
	}
	if req.Close {
		s.WriteString(" close")
	}
	describeFields(&s, &req.Fields)
	return s.String()
}

func describeFields(s *strings.Builder, fields *message.Fields) {
	for _, field := range fields.All() {
		fmt.Fprintf(s, " [%s: %s]", field.Name, field.Value)
	}
}

// responseTo says what a response answers.
type responseTo struct{ head, connect bool }

func responseOutcome(input string, to responseTo, lim *Limits, cuts ...int) string {
	var p ResponseParser
	var resp message.Response
	parse := func(buf []byte) (int, Error) { return p.Parse(buf, &resp, to.head, to.connect, lim) }
	n, err, _ := feed(parse, input, cuts...)
	switch {
	case err != noError:
		return fmt.Sprintf("refused: %d %s: %s", err.Status(), err.Details(), err.Error())
	case n == 0:
		return "incomplete"
	}
	return describeResponse(n, &resp, p.Framing())
}

func describeResponse(n int, resp *message.Response, f Framing) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %d %v %v length=%d end=%t", n, resp.Status, resp.Version, f, resp.ContentLength, resp.EndStream)
	if resp.Upgrade != nil {
		fmt.Fprintf(&s, " upgrade=%s", resp.Upgrade)
	}
	if resp.Close {
		s.WriteString(" close")
	}
	describeFields(&s, &resp.Fields)
	return s.String()
}

// decodeAll gives d the input in the pieces between the cuts, as a connection does, and returns the body.
func decodeAll(d *BodyDecoder, input string, cuts ...int) (body string, n int, err Error) {
	var data []byte
	for _, cut := range append(cuts, len(input)) {
		piece := []byte(input[n:cut])
		for {
			got, m, done, err := d.Next(piece)
			data = append(data, got...)
			n += m
			piece = piece[m:]
			if err != noError || done {
				return string(data), n, err
			}
			if len(piece) == 0 {
				break
			}
			if m == 0 {
				panic("no progress")
			}
		}
		for i := range piece {
			piece[i] = 0xee
		}
	}
	return string(data), n, noError
}

// chunkedOutcome leaves out how much of a refused body was consumed, which depends on its segmentation.
func chunkedOutcome(input string, lim *Limits, cuts ...int) string {
	var d BodyDecoder
	d.Init(FramingChunked, 0, lim)
	body, n, err := decodeAll(&d, input, cuts...)
	if err != noError {
		return fmt.Sprintf("%q refused: %d %s: %s", body, err.Status(), err.Details(), err.Error())
	}
	if !d.Done() {
		return fmt.Sprintf("%q incomplete", body)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%q done %d", body, n)
	if trailers := d.Trailers(); trailers != nil {
		describeFields(&s, trailers)
	}
	return s.String()
}

// lines joins lines with CRLF and ends them with one.
func lines(line ...string) string { return strings.Join(line, "\r\n") + "\r\n" }

// get is a request with the given field lines after Host.
func get(line ...string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\n" + lines(append(line, "")...)
}

// ok is a response with the given field lines.
func ok(line ...string) string { return "HTTP/1.1 200 OK\r\n" + lines(append(line, "")...) }
