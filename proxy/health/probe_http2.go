package health

import (
	"context"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// http2Prober asks a host over HTTP/2 with prior knowledge.
type http2Prober struct {
	keeper
	check *config.HTTPHealthCheck
	head  []hpack.HeaderField
}

func newHTTP2Prober(k keeper, check *config.HTTPHealthCheck, host string) *http2Prober {
	p := &http2Prober{keeper: k, check: check}
	p.head = requestHead(check.Method, host, check.Path, requestFields(check.Headers, check.Remove))
	if len(check.Send) > 0 {
		p.head = append(p.head, hpack.HeaderField{Name: "content-length", Value: strconv.Itoa(len(check.Send))})
	}
	return p
}

func requestHead(method, authority, path string, fields []field) []hpack.HeaderField {
	head := []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: authority}, {Name: ":path", Value: path},
	}
	for _, f := range fields {
		head = append(head, hpack.HeaderField{Name: f.name, Value: f.value})
	}
	return head
}

func (p *http2Prober) probe(ctx context.Context) result { return p.keeper.probe(ctx, p.speak) }

func (p *http2Prober) speak(c *conn) attempt {
	return exchange(c, p.head, p.check.Send, func(s *http2Stream) result {
		a := answer{status: s.status, body: s.body}
		_, a.degraded = value(s.fields, fieldDegraded)
		_, a.immediateFail = value(s.fields, fieldImmediateFail)
		a.cluster, _ = value(s.fields, fieldCluster)
		return a.judge(p.check)
	})
}

// exchange sends a request on c and has judge say what the answer means.
func exchange(c *conn, head []hpack.HeaderField, body []byte, judge func(*http2Stream) result) attempt {
	if c.http2 == nil {
		c.http2 = newHTTP2Conn(c)
	}
	s, err := c.http2.do(head, body)
	if err != nil && !s.ended {
		return broken(err, !s.heard)
	}
	return attempt{result: judge(s), reusable: err == nil && s.whole && c.http2.usable()}
}
