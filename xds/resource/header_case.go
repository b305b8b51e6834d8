package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const preserveCaseMessage = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"

var (
	headerCaseFields   = fields{"proper_case_words": decoded, "stateful_formatter": decoded}
	preserveCaseFields = fields{"forward_reason_phrase": decoded, "formatter_type_on_envoy_headers": decoded}
)

// headerCase decodes how names are spelled on connections of HTTP/1.
func (a *at) headerCase(f *corev3.Http1ProtocolOptions_HeaderKeyFormat) (out config.HeaderCase) {
	if f == nil {
		return out
	}
	a.only(f, headerCaseFields)
	switch format := f.GetHeaderFormat().(type) {
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_ProperCaseWords_:
		out.Proper = true
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter:
		place, extension := a.in("stateful_formatter"), format.StatefulFormatter
		var m preservecasev3.PreserveCaseFormatterConfig
		if messageName(extension.GetTypedConfig()) != preserveCaseMessage {
			place.errorf("%sis not supported, only %s", describe(extension.ProtoReflect()), typePrefix+preserveCaseMessage)
			return out
		}
		if place = place.in("typed_config"); place.unpack(extension.GetTypedConfig(), &m) {
			place.only(&m, preserveCaseFields)
			out.Preserve, out.ForwardReason = true, m.GetForwardReasonPhrase()
			out.ProperOthers = m.GetFormatterTypeOnEnvoyHeaders() == preservecasev3.PreserveCaseFormatterConfig_PROPER_CASE
		}
	}
	return out
}
