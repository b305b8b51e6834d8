package resource

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	customv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/custom_header/v3"
	xffv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	xffMessage          = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
	customHeaderMessage = "envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"
)

const (
	// maxOriginalIPs bounds the ways that are tried for a request, one after the other.
	maxOriginalIPs = 16
	// maxTrustedCIDRs bounds the blocks that addresses are held against, one after the other. The networks for content delivery
	// have up to some hundred.
	maxTrustedCIDRs = 1024
)

var (
	xffFields          = fields{"xff_num_trusted_hops": decoded, "xff_trusted_cidrs": decoded, "skip_xff_append": decoded}
	trustedCIDRFields  = fields{"cidrs": decoded}
	customHeaderFields = fields{
		"header_name": decoded, "allow_extension_to_set_address_as_trusted": decoded, "reject_with_status": decoded,
	}
)

// originalIPs decodes the ways to find the address of the client.
func (a *at) originalIPs(hcm *hcmv3.HttpConnectionManager) (out []config.OriginalIP) {
	list := hcm.GetOriginalIpDetectionExtensions()
	place := a.in("original_ip_detection_extensions")
	switch {
	case len(list) == 0:
		return nil
	case hcm.GetUseRemoteAddress().GetValue():
		place.errorf("cannot be set together with use_remote_address")
	case hcm.GetXffNumTrustedHops() > 0:
		place.errorf("cannot be set together with xff_num_trusted_hops, which XffConfig has too")
	}
	if len(list) > maxOriginalIPs {
		place.errorf("has %d entries, at most %d are allowed", len(list), maxOriginalIPs)
		return nil
	}
	for i, one := range list {
		out = append(out, a.item("original_ip_detection_extensions", i).originalIP(one))
	}
	return out
}

func (a *at) originalIP(e *corev3.TypedExtensionConfig) config.OriginalIP {
	packed := e.GetTypedConfig()
	switch place := a.in("typed_config"); messageName(packed) {
	case xffMessage:
		var m xffv3.XffConfig
		if place.unpack(packed, &m) {
			return place.xff(&m)
		}
	case customHeaderMessage:
		var m customv3.CustomHeaderConfig
		if place.unpack(packed, &m) {
			return place.customHeader(&m)
		}
	default:
		a.errorf("%sis not supported, only %s", describe(e.ProtoReflect()), typePrefix+xffMessage+", "+typePrefix+customHeaderMessage)
	}
	return config.OriginalIP{}
}

func (a *at) xff(m *xffv3.XffConfig) config.OriginalIP {
	a.only(m, xffFields)
	out := config.OriginalIP{Hops: m.GetXffNumTrustedHops(), Append: !orBool(m.GetSkipXffAppend(), true)}
	trusted := m.GetXffTrustedCidrs()
	if trusted == nil {
		return out
	}
	place := a.in("xff_trusted_cidrs")
	place.only(trusted, trustedCIDRFields)
	switch {
	case out.Hops > 0:
		a.in("xff_num_trusted_hops").errorf("cannot be set together with xff_trusted_cidrs")
	case len(trusted.GetCidrs()) > maxTrustedCIDRs:
		place.in("cidrs").errorf("has %d entries, at most %d are allowed", len(trusted.GetCidrs()), maxTrustedCIDRs)
	default:
		out.Proxies = place.addressBlocks("cidrs", trusted.GetCidrs())
	}
	return out
}

func (a *at) customHeader(m *customv3.CustomHeaderConfig) config.OriginalIP {
	a.only(m, customHeaderFields)
	out := config.OriginalIP{
		Header:  a.in("header_name").matchedName(m.GetHeaderName()),
		Trusted: m.GetAllowExtensionToSetAddressAsTrusted(),
	}
	if m.GetRejectWithStatus() != nil {
		out.RejectStatus = int(m.GetRejectWithStatus().GetCode())
		// A status that says no error is taken for Forbidden, as the API says.
		if out.RejectStatus < int(typev3.StatusCode_BadRequest) || out.RejectStatus > int(typev3.StatusCode_NetworkAuthenticationRequired) {
			out.RejectStatus = int(typev3.StatusCode_Forbidden)
		}
	}
	return out
}
