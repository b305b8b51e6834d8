package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	earlyMutationMessage = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
	uuidMessage          = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
)

// maxEarlyMutations bounds the mutations that are made in each request, one after the other.
const maxEarlyMutations = 256

var (
	earlyMutationFields = fields{"mutations": decoded}
	schemeFields        = fields{"scheme_to_overwrite": decoded, "match_upstream": decoded}
	requestIDFields     = fields{"typed_config": decoded}
	uuidFields          = fields{
		"pack_trace_reason":                 decoded,
		"use_request_id_for_trace_sampling": noEffect, // there is no tracing
	}
)

// earlyMutations decodes what is changed in requests before anything else.
func (a *at) earlyMutations(list []*corev3.TypedExtensionConfig) (out []config.HeaderMutations) {
	for i, one := range list {
		place, packed := a.item("early_header_mutation_extensions", i), one.GetTypedConfig()
		if messageName(packed) != earlyMutationMessage {
			place.errorf("%sis not supported, only %s", describe(one.ProtoReflect()), typePrefix+earlyMutationMessage)
			continue
		}
		var m earlyv3.HeaderMutation
		if place = place.in("typed_config"); !place.unpack(packed, &m) {
			continue
		}
		place.only(&m, earlyMutationFields)
		if len(out)+len(m.GetMutations()) > maxEarlyMutations {
			place.in("mutations").errorf("makes it more than %d mutations, which is the most that are allowed", maxEarlyMutations)
			return nil
		}
		out = append(out, place.requestMutations("mutations", m.GetMutations())...)
	}
	return out
}

// requestFields decodes what the connection manager makes of the scheme and the ID of requests.
func (a *at) requestFields(hcm *hcmv3.HttpConnectionManager, out *config.HTTPConnectionManager) {
	if t := hcm.GetSchemeHeaderTransformation(); t != nil {
		a.in("scheme_header_transformation").only(t, schemeFields)
		out.Scheme = t.GetSchemeToOverwrite()
		out.SchemeOfHost = t.GetMatchUpstream() && out.Scheme == ""
	}
	if e := hcm.GetRequestIdExtension(); e != nil {
		out.KeepTraceReason = a.in("request_id_extension").keepsTraceReason(e)
	}
}

func (a *at) keepsTraceReason(e *hcmv3.RequestIDExtension) bool {
	a.only(e, requestIDFields)
	packed := e.GetTypedConfig()
	if packed == nil {
		return false
	}
	if messageName(packed) != uuidMessage {
		a.in("typed_config").errorf("type URL '%s' is not supported, only %s", typeOf(packed), typePrefix+uuidMessage)
		return false
	}
	var m uuidv3.UuidRequestIdConfig
	place := a.in("typed_config")
	if !place.unpack(packed, &m) {
		return false
	}
	place.only(&m, uuidFields)
	return !orBool(m.GetPackTraceReason(), true)
}
