//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	withoutqueryv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/req_without_query/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
)

var (
	fileAccessLogFields = fields{
		"path": decoded, "format": decoded, "json_format": decoded, "typed_json_format": decoded, "log_format": decoded,
	}
	streamAccessLogFields = fields{"log_format": decoded}
	logFormatFields       = fields{
		"text_format": decoded, "json_format": decoded, "text_format_source": decoded, "omit_empty_values": decoded, "formatters": decoded,
		"content_type":        noEffect, // lines have none
		"json_format_options": noEffect, // properties are always sorted
	}
)

func (a *at) fileAccessLog(l *filev3.FileAccessLog) *config.FileAccessLog {
	a.only(l, fileAccessLogFields)
	out := &config.FileAccessLog{Path: l.GetPath(), Format: config.LogFormat{Text: config.DefaultLogFormat}}
	if out.Path == "" {
		a.in("path").errorf("must be set")
	}
	switch f := l.GetAccessLogFormat().(type) {
	case *filev3.FileAccessLog_Format:
		if f.Format != "" {
			out.Format.Text = f.Format
		}
		a.in("format").logFormat(&out.Format)
	case *filev3.FileAccessLog_JsonFormat:
		out.Format = config.LogFormat{JSON: f.JsonFormat.AsMap()}
		a.in("json_format").logFormat(&out.Format)
	case *filev3.FileAccessLog_TypedJsonFormat:
		out.Format = config.LogFormat{JSON: f.TypedJsonFormat.AsMap()}
		a.in("typed_json_format").logFormat(&out.Format)
	case *filev3.FileAccessLog_LogFormat:
		out.Format = a.in("log_format").substitutionFormat(f.LogFormat)
	}
	return out
}

// streamAccessLog decodes a log that goes to a stream of the process.
func (a *at) streamAccessLog(path string, f *corev3.SubstitutionFormatString) *config.FileAccessLog {
	out := &config.FileAccessLog{Path: path, Format: config.LogFormat{Text: config.DefaultLogFormat}}
	if f != nil {
		out.Format = a.in("log_format").substitutionFormat(f)
	}
	return out
}

func (a *at) substitutionFormat(f *corev3.SubstitutionFormatString) config.LogFormat {
	a.only(f, logFormatFields)
	return a.logFormatOf(f)
}

// logFormatOf decodes the format itself.
func (a *at) logFormatOf(f *corev3.SubstitutionFormatString) (out config.LogFormat) {
	out.OmitEmpty = f.GetOmitEmptyValues()
	a.formatters(f.GetFormatters())
	switch text := f.GetFormat().(type) {
	case *corev3.SubstitutionFormatString_TextFormat:
		out.Text = text.TextFormat
		a.in("text_format").logFormat(&out)
	case *corev3.SubstitutionFormatString_TextFormatSource:
		place := a.in("text_format_source")
		out.Text = string(place.inline(text.TextFormatSource))
		place.logFormat(&out)
	case *corev3.SubstitutionFormatString_JsonFormat:
		out.JSON = text.JsonFormat.AsMap()
		a.in("json_format").logFormat(&out)
	}
	return out
}

// withoutQueryMessage is the extension that REQ_WITHOUT_QUERY comes from, which is known in any case.
const withoutQueryMessage = "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"

// formatters refuses extensions that command operators come from, but for the one whose are known.
func (a *at) formatters(list []*corev3.TypedExtensionConfig) {
	for i, one := range list {
		place := a.item("formatters", i)
		if messageName(one.GetTypedConfig()) != withoutQueryMessage {
			place.errorf("%sis not supported, only %s", describe(one.ProtoReflect()), typePrefix+withoutQueryMessage)
			continue
		}
		place.in("typed_config").unpack(one.GetTypedConfig(), &withoutqueryv3.ReqWithoutQuery{})
	}
}

// logFormat checks a format.
func (a *at) logFormat(f *config.LogFormat) {
	if _, err := formatter.Compile(f); err != nil {
		a.errorf("%v", err)
	}
}
