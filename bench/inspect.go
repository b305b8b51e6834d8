package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// inspect starts the proxy once with the mirror in the place of the origin and fails
// unless it does the work that all are compared in. The origin of the measurement
// cannot show that: a file server shows nobody the request it got.
func (l *lab) inspect(ctx context.Context, p Proxy, s Scenario) error {
	running, err := l.startProxy(ctx, p, s, l.origins.mirror)
	if err != nil {
		return err
	}
	return errors.Join(s.checkWork(running.answer), running.stop())
}

// checkWork reads the mirror's answer.
func (s Scenario) checkWork(answer load.Answer) error {
	text := string(answer.Body)
	line, _, _ := strings.Cut(text, "\n")
	protocol := " HTTP/1.1"
	if s.http2Origin() {
		protocol = " HTTP/2.0"
	}
	if !strings.HasSuffix(line, protocol) {
		return fmt.Errorf("request to the origin is %q, want%s", line, protocol)
	}
	if s.Traffic.TCP && strings.Contains(text, "\nx-forwarded-for:") {
		return fmt.Errorf("request to the origin is changed, which a proxy of TCP does not; it is\n%s", text)
	}
	for _, field := range s.addedFields() {
		if n := strings.Count(text, "\n"+field); n != 1 {
			name, _, _ := strings.Cut(field, ":")
			return fmt.Errorf("request to the origin has %d %s headers, want 1; it is\n%s", n, name, text)
		}
	}
	return s.checkResponse(answer)
}

// addedFields are the beginnings of the header lines that the origin gets once each.
func (s Scenario) addedFields() []string {
	if s.Traffic.TCP {
		return nil
	}
	fields := []string{"x-forwarded-for:", "x-forwarded-proto: http\n", "x-request-id:"}
	if s.Traffic.TLS {
		fields[1] = "x-forwarded-proto: https\n"
	}
	if s.Traffic.AddHeaders {
		fields = append(fields, peer.RequestHeader+": "+peer.HeaderValue+"\n")
	}
	if s.Traffic.GRPC {
		fields = append(fields, "te: trailers\n", "content-type: application/grpc\n")
	}
	return fields
}

// checkAnswer reads the first answer of a proxy whose origin is that of the
// measurement: status 200 is known.
func (s Scenario) checkAnswer(answer load.Answer) error {
	path, body := s.probed()
	if len(answer.Body) != body {
		return fmt.Errorf("%s: status 200 with %d bytes, want %d", path, len(answer.Body), body)
	}
	if got, want := answer.Header.Get("Content-Length"), strconv.Itoa(body); !s.http2() && got != want {
		return fmt.Errorf("%s: content-length %q, want %s", path, got, want)
	}
	return s.checkResponse(answer)
}

// checkResponse is about what all answers have, whatever the origin.
func (s Scenario) checkResponse(answer load.Answer) error {
	if want := s.agreement(); answer.TLS != want {
		return fmt.Errorf("connection is under %q, want %q", answer.TLS, want)
	}
	if got := answer.Header.Values(peer.ResponseHeader); s.Traffic.AddHeaders && (len(got) != 1 || got[0] != peer.HeaderValue) {
		return fmt.Errorf("answer has %s %q, want one %q", peer.ResponseHeader, got, peer.HeaderValue)
	}
	if got := answer.Trailer.Get("Grpc-Status"); s.Traffic.GRPC && got != "0" {
		return fmt.Errorf("answer has the trailers %v, want grpc-status 0", answer.Trailer)
	}
	return nil
}

// agreement is what a client and a proxy come to, see load.Answer.
func (s Scenario) agreement() string {
	if !s.Traffic.TLS {
		return ""
	}
	return load.Agreement(peer.TLSVersion, peer.CipherSuite, peer.Curve)
}
