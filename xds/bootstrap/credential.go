package bootstrap

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	injectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

// Credential is a header that tells a control plane who asks (the HTTP filter credential_injector of its cluster).
type Credential struct {
	// Header is its name in lower case, and Prefix what comes before the value.
	Header, Prefix string
	// Value is where the value is. It is read anew for each stream.
	Value config.DataSource
	// Overwrite puts it in the place of what InitialMetadata has under that name; otherwise that stays.
	Overwrite bool
	// Optional has a stream opened without it while there is no value.
	Optional bool
}

// maxHeader bounds the name of a header and the prefix of its value, in bytes.
const maxHeader = 256

var (
	// serverOptionFields are what the cluster of a control plane may say of HTTP. How its HTTP/2 is spoken is gRPC's.
	serverOptionFields = map[protoreflect.Name]string{
		"explicit_http_config": handled, "http_filters": handled,
		"common_http_protocol_options": clientOwned, "upstream_http_protocol_options": clientOwned,
		"use_downstream_protocol_config": clientOwned, "auto_config": clientOwned, "outlier_detection": clientOwned,
		"hash_policy": clientOwned, "retry_policy": clientOwned,
	}
	serverFilterFields = map[protoreflect.Name]string{
		"name": handled, "typed_config": handled, "is_optional": handled, "disabled": handled,
	}
	injectorFields = map[protoreflect.Name]string{
		"overwrite": handled, "allow_request_without_credential": handled, "credential": handled,
	}
	genericFields       = map[protoreflect.Name]string{"credential": handled, "header": handled, "header_value_prefix": handled}
	serverSecretFields  = map[protoreflect.Name]string{"name": handled} // those of SDS are refused
	staticSecretFields  = map[protoreflect.Name]string{"name": handled, "generic_secret": handled}
	genericSecretFields = map[protoreflect.Name]string{"secret": handled}
	dataSourceFields    = map[protoreflect.Name]string{
		"filename": handled, "inline_bytes": handled, "inline_string": handled, "environment_variable": handled,
	}
)

// serverFilters decodes the HTTP filters of a control plane's cluster, of which there are two: the codec, and what says who asks.
// A cluster that is for traffic too is decoded as one of those, which have no filters.
func (d *decoder) serverFilters(path string, c *clusterv3.Cluster, written *bootstrapv3.Bootstrap, x *Server) {
	if !speaksHTTP2(c) {
		return
	}
	for _, packed := range c.GetTypedExtensionProtocolOptions() {
		var o upstreamv3.HttpProtocolOptions
		if packed.UnmarshalTo(&o) != nil {
			continue
		}
		path := path + ".typed_extension_protocol_options"
		d.fields(path, &o, serverOptionFields)
		for i, filter := range o.GetHttpFilters() {
			d.serverFilter(fmt.Sprintf("%s.http_filters[%d]", path, i), filter, written, x)
		}
	}
}

func (d *decoder) serverFilter(path string, filter *hcmv3.HttpFilter, written *bootstrapv3.Bootstrap, x *Server) {
	d.fields(path, filter, serverFilterFields)
	packed := filter.GetTypedConfig()
	injector := &injectorv3.CredentialInjector{}
	switch {
	case filter.GetDisabled() || packed.MessageIs(&codecv3.UpstreamCodec{}):
	case packed.MessageIs(injector):
		if err := packed.UnmarshalTo(injector); err != nil {
			d.errorf(path+".typed_config", "cannot be decoded: %v", err)
			return
		}
		if x.Credential != nil {
			d.errorf(path, "is a second credential, a control plane is told one")
			return
		}
		x.Credential = d.injector(path+".typed_config", injector, written)
	case filter.GetIsOptional():
		d.warnf(path, "has no effect: '%s' with type URL '%s' is not supported and optional", filter.GetName(), packed.GetTypeUrl())
	default:
		d.errorf(path, "'%s' with type URL '%s' is not supported for a control plane, only credential_injector and upstream_codec",
			filter.GetName(), packed.GetTypeUrl())
	}
}

// injector decodes a credential that a request gets.
func (d *decoder) injector(path string, c *injectorv3.CredentialInjector, written *bootstrapv3.Bootstrap) *Credential {
	d.fields(path, c, injectorFields)
	path += ".credential.typed_config"
	generic := &genericv3.Generic{}
	if err := c.GetCredential().GetTypedConfig().UnmarshalTo(generic); err != nil {
		d.errorf(path, "'%s' with type URL '%s' is not supported, only %s", c.GetCredential().GetName(),
			c.GetCredential().GetTypedConfig().GetTypeUrl(), generic.ProtoReflect().Descriptor().FullName())
		return nil
	}
	d.fields(path, generic, genericFields)
	out := &Credential{
		Header:    strings.ToLower(cmp.Or(generic.GetHeader(), "authorization")),
		Prefix:    generic.GetHeaderValuePrefix(),
		Overwrite: c.GetOverwrite(),
		Optional:  c.GetAllowRequestWithoutCredential(),
	}
	if len(out.Header) > maxHeader || !resource.IsMetadataKey(out.Header) || strings.HasPrefix(out.Header, "grpc-") || strings.HasSuffix(out.Header, "-bin") {
		d.errorf(path+".header", "%q must be a name of letters, digits, '_', '-' and '.', and not begin with grpc- or end in -bin", out.Header)
	}
	if len(out.Prefix) > maxHeader || !resource.IsMetadataValue(out.Prefix) {
		d.errorf(path+".header_value_prefix", "must be of at most %d characters of printable ASCII", maxHeader)
	}
	path += ".credential"
	d.fields(path, generic.GetCredential(), serverSecretFields)
	out.Value = d.staticSecret(path, generic.GetCredential().GetName(), written)
	return out
}

// staticSecret returns where the value of a secret among those of the bootstrap is. path is the field that names it.
func (d *decoder) staticSecret(path, name string, written *bootstrapv3.Bootstrap) (out config.DataSource) {
	secrets := written.GetStaticResources().GetSecrets()
	i := slices.IndexFunc(secrets, func(s *tlsv3.Secret) bool { return s.GetName() == name })
	if i < 0 {
		d.errorf(path+".name", "%q is not among static_resources.secrets", name)
		return out
	}
	path = fmt.Sprintf("static_resources.secrets[%d]", i)
	d.fields(path, secrets[i], staticSecretFields)
	d.fields(path+".generic_secret", secrets[i].GetGenericSecret(), genericSecretFields)
	path += ".generic_secret.secret"
	source := secrets[i].GetGenericSecret().GetSecret()
	d.fields(path, source, dataSourceFields)
	out = resource.DataSource(source)
	if !out.IsSet() {
		d.errorf(path, "must have filename, inline_bytes, inline_string or environment_variable, and not an empty one")
	}
	return out
}
