//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	// maxReplyMappers bounds the mappers, whose filters each answer of the proxy's own is held against.
	maxReplyMappers = 64
	// maxReplyBody bounds the body of a mapper, in bytes.
	maxReplyBody = 64 << 10
)

var (
	localReplyFields  = fields{"mappers": decoded, "body_format": decoded}
	replyMapperFields = fields{
		"filter": decoded, "status_code": decoded, "body": decoded, "body_format_override": decoded, "headers_to_add": decoded,
	}
	replyFormatFields = fields{
		"text_format": decoded, "json_format": decoded, "text_format_source": decoded, "omit_empty_values": decoded, "formatters": decoded,
		"content_type":        decoded,
		"json_format_options": noEffect, // properties are always sorted
	}
)

// localReply decodes what becomes of answers of the proxy's own, nil for nothing.
func (a *at) localReply(c *hcmv3.LocalReplyConfig) *config.LocalReply {
	if c == nil {
		return nil
	}
	a.only(c, localReplyFields)
	if len(c.GetMappers()) > maxReplyMappers {
		a.in("mappers").errorf("has %d entries, at most %d are allowed", len(c.GetMappers()), maxReplyMappers)
		return nil
	}
	out := &config.LocalReply{Format: a.in("body_format").replyFormat(c.GetBodyFormat())}
	for i, m := range c.GetMappers() {
		out.Mappers = append(out.Mappers, a.item("mappers", i).replyMapper(m))
	}
	return out
}

func (a *at) replyMapper(m *hcmv3.ResponseMapper) config.ReplyMapper {
	a.only(m, replyMapperFields)
	out := config.ReplyMapper{
		Filter: new(logFilterDecoder).logFilter(a.in("filter"), m.GetFilter()),
		Status: int(m.GetStatusCode().GetValue()),
		Format: a.in("body_format_override").replyFormat(m.GetBodyFormatOverride()),
		Add:    a.headersToAdd("headers_to_add", m.GetHeadersToAdd()),
	}
	if m.GetBody() != nil {
		body := string(a.in("body").inline(m.GetBody()))
		if len(body) > maxReplyBody {
			a.in("body").errorf("is %d bytes long, at most %d are allowed", len(body), maxReplyBody)
		}
		out.Body = &body
	}
	return out
}

// replyFormat decodes how the body of an answer is made, nil where that is not said.
func (a *at) replyFormat(f *corev3.SubstitutionFormatString) *config.ReplyFormat {
	if f == nil {
		return nil
	}
	a.only(f, replyFormatFields)
	out := &config.ReplyFormat{Body: a.logFormatOf(f), ContentType: f.GetContentType()}
	if len(out.Body.Text) > maxBodyFormat {
		a.errorf("is %d bytes long, at most %d are allowed", len(out.Body.Text), maxBodyFormat)
	}
	a.in("content_type").fieldValue(out.ContentType)
	switch {
	case out.ContentType != "":
	case out.Body.JSON != nil:
		out.ContentType = "application/json"
	default:
		out.ContentType = "text/plain"
	}
	return out
}
