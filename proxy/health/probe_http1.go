package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxProbeHead bounds the head of an answer. Health checks are answered by little programs.
const maxProbeHead = 16 << 10

// http1Prober asks a host over HTTP/1.1.
type http1Prober struct {
	keeper
	check   *config.HTTPHealthCheck
	request []byte
}

func newHTTP1Prober(k keeper, check *config.HTTPHealthCheck, host string) *http1Prober {
	request := append([]byte(nil), check.Method+" "+check.Path+" HTTP/1.1\r\nhost: "+host+"\r\n"...)
	for _, f := range requestFields(check.Headers, check.Remove) {
		request = append(request, f.name+": "+f.value+"\r\n"...)
	}
	if len(check.Send) > 0 || wantsLength(check.Method) {
		request = append(request, "content-length: "+strconv.Itoa(len(check.Send))+"\r\n"...)
	}
	request = append(append(request, "\r\n"...), check.Send...)
	return &http1Prober{keeper: k, check: check, request: request}
}

// wantsLength reports whether a request without content says so, as the method leads to expect some (RFC 9110 section 8.6).
func wantsLength(method string) bool { return method == "POST" || method == "PUT" || method == "PATCH" }

func (p *http1Prober) probe(ctx context.Context) result { return p.keeper.probe(ctx, p.speak) }

func (p *http1Prober) speak(c *conn) attempt {
	if _, err := c.Write(p.request); err != nil {
		return broken(fmt.Errorf("send the request: %w", err), true)
	}
	in := bufio.NewReaderSize(c, maxProbeHead)
	if _, err := in.Peek(1); err != nil {
		return broken(fmt.Errorf("wait for an answer: %w", err), true)
	}
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	resp.SkipBody, resp.StreamBody = p.check.Method == "HEAD", true
	if err := resp.Read(in); err != nil {
		return broken(fmt.Errorf("read the answer: %w", err), false)
	}
	a := answer{
		status:        resp.StatusCode(),
		degraded:      resp.Header.Peek(fieldDegraded) != nil,
		immediateFail: resp.Header.Peek(fieldImmediateFail) != nil,
		cluster:       string(resp.Header.Peek(fieldCluster)),
	}
	whole := true
	if body := resp.BodyStream(); body != nil {
		var err error
		if a.body, whole, err = readBody(body); err != nil {
			return broken(fmt.Errorf("read the body: %w", err), false)
		}
	}
	reusable := whole && in.Buffered() == 0 && !resp.ConnectionClose() && a.status != fasthttp.StatusSwitchingProtocols
	return attempt{result: a.judge(p.check), reusable: reusable}
}

// readBody reads a body to its end, or as much of it as is kept.
func readBody(r io.Reader) (body []byte, whole bool, err error) {
	body, err = io.ReadAll(io.LimitReader(r, config.MaxHealthResponseBytes+1))
	if len(body) > config.MaxHealthResponseBytes {
		return body[:config.MaxHealthResponseBytes], false, nil
	}
	return body, true, err
}
