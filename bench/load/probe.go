package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// MaxProbeBody bounds the body of an answer to a probe.
const MaxProbeBody = 2 << 20

// Question is a request of a probe.
type Question struct {
	Address, Path string
	// TLS asks under TLS and offers what crypto/tls offers by itself.
	TLS bool
	// HTTP2 asks in HTTP/2, in cleartext with prior knowledge.
	HTTP2 bool
	// Headers are sent, each as "name: value".
	Headers []string
	// Body makes it a POST; nil is a GET.
	Body []byte
}

// Answer is the response to a probe.
type Answer struct {
	Status          int
	Header, Trailer http.Header
	Body            []byte
	// TLS is the Agreement of the two sides, "" in cleartext.
	TLS string
}

// Probe makes one request on a connection of its own and reads the whole response.
// It uses net/http, so that a proxy is judged by a client which is neither the load
// generator nor the proxy's own kin. It fails within timeout.
func Probe(ctx context.Context, q Question, timeout time.Duration) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := q.request(ctx)
	if err != nil {
		return Answer{}, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!q.HTTP2)
	protocols.SetHTTP2(q.HTTP2 && q.TLS)
	protocols.SetUnencryptedHTTP2(q.HTTP2 && !q.TLS)
	transport := &http.Transport{
		Protocols: protocols, DisableKeepAlives: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the lab's certificates are nobody else's
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxProbeBody+1))
	switch {
	case err != nil:
		return Answer{}, err
	case len(body) > MaxProbeBody:
		return Answer{}, fmt.Errorf("body has more than %d bytes", MaxProbeBody)
	}
	return Answer{resp.StatusCode, resp.Header, resp.Trailer, body, describe(resp.TLS)}, nil
}

func (q Question) request(ctx context.Context) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if q.Body != nil {
		method, body = http.MethodPost, bytes.NewReader(q.Body)
	}
	url := Config{TLS: q.TLS, Address: q.Address, Path: q.Path}.URL()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for _, h := range q.Headers {
		name, value, _ := strings.Cut(h, ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	return request, nil
}
