//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

var (
	headerOptionFields = fields{
		"header": decoded, "append": decoded, "append_action": decoded, "keep_empty_value": decoded,
	}
	headerValueFields = fields{"key": decoded, "value": decoded}
)

// mutating is a message with the four lists of header mutations.
type mutating interface {
	GetRequestHeadersToAdd() []*corev3.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

// headerMutations decodes the fields added and removed at one level.
func (a *at) headerMutations(m mutating) config.HeaderMutations {
	return config.HeaderMutations{
		RequestAdd:     a.headersToAdd("request_headers_to_add", m.GetRequestHeadersToAdd()),
		RequestRemove:  a.headersToRemove("request_headers_to_remove", m.GetRequestHeadersToRemove()),
		ResponseAdd:    a.headersToAdd("response_headers_to_add", m.GetResponseHeadersToAdd()),
		ResponseRemove: a.headersToRemove("response_headers_to_remove", m.GetResponseHeadersToRemove()),
	}
}

func (a *at) headersToAdd(field string, list []*corev3.HeaderValueOption) []config.HeaderValue {
	var out []config.HeaderValue
	for i, o := range list {
		out = append(out, a.item(field, i).headerToAdd(o))
	}
	return out
}

// headerToAdd decodes one field that is added.
func (a *at) headerToAdd(o *corev3.HeaderValueOption) config.HeaderValue {
	a.only(o, headerOptionFields)
	value := a.in("header")
	value.only(o.GetHeader(), headerValueFields)
	value.in("value").format(o.GetHeader().GetValue())
	return config.HeaderValue{
		Name:      value.in("key").mutableName(o.GetHeader().GetKey()),
		Value:     o.GetHeader().GetValue(),
		Action:    a.appendAction(o),
		KeepEmpty: o.GetKeepEmptyValue(),
	}
}

func (a *at) headersToRemove(field string, names []string) []string {
	var out []string
	for i, name := range names {
		out = append(out, a.item(field, i).mutableName(name))
	}
	return out
}

// appendAction decodes append_action or the deprecated append, which excludes it.
func (a *at) appendAction(o *corev3.HeaderValueOption) config.AppendAction {
	if o.GetAppend() != nil {
		if o.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			a.in("append").errorf("cannot be set together with append_action")
		}
		if o.GetAppend().GetValue() {
			return config.AppendIfExistsOrAdd
		}
		return config.OverwriteIfExistsOrAdd
	}
	switch o.GetAppendAction() {
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		return config.AddIfAbsent
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		return config.OverwriteIfExistsOrAdd
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		return config.OverwriteIfExists
	default:
		return config.AppendIfExistsOrAdd
	}
}

// mutableName checks the name of a field to add or remove. The parts of the head are changed by rewrites only, so that a
// message keeps what makes it well-formed.
func (a *at) mutableName(name string) string {
	if strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
		a.errorf("%q: :-prefixed or host headers may not be modified", name)
		return name
	}
	return a.fieldName(name)
}

// fieldName checks that name is a token (RFC 9110 section 5.1) and returns it in lower case.
func (a *at) fieldName(name string) string {
	if !isToken(name) {
		a.errorf("%q is not a field name", name)
	}
	return strings.ToLower(name)
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// fieldValue refuses text that cannot be the value of a field (RFC 9110 section 5.5).
func (a *at) fieldValue(text string) {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		a.errorf("%q must not contain control characters", text)
	}
}
