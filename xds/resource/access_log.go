//lint:file-ignore SA1019 control planes still send the deprecated fields

package resource

import (
	"os"
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

const (
	grpcAccessLogMessage   = "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"
	fileAccessLogMessage   = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
	stdoutAccessLogMessage = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
	stderrAccessLogMessage = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog"
)

// maxLoggedFields bounds the names of fields that a log has besides: each costs work per request.
const maxLoggedFields = 64

var (
	accessLogFields = fields{
		"typed_config": decoded, "filter": decoded,
		"name": noEffect, // extensions are found by type
	}
	grpcAccessLogFields = fields{
		"common_config": decoded, "additional_request_headers_to_log": decoded, "additional_response_headers_to_log": decoded,
		"additional_response_trailers_to_log": decoded,
	}
	commonAccessLogFields = fields{
		"log_name": decoded, "grpc_service": decoded, "transport_api_version": decoded, "buffer_flush_interval": decoded,
		"buffer_size_bytes": decoded, "custom_tags": decoded,
	}
	logTagFields         = fields{"tag": decoded, "literal": decoded, "environment": decoded, "request_header": decoded}
	logTagLiteralFields  = fields{"value": decoded}
	logTagFallbackFields = fields{"name": decoded, "default_value": decoded}
	logServiceFields     = fields{
		"envoy_grpc": decoded, "initial_metadata": decoded,
		"timeout": noEffect, "retry_policy": noEffect, // of single requests: this is a stream, without an end
	}
	logClusterFields = fields{
		"cluster_name": decoded, "authority": decoded,
		"max_receive_message_length": noEffect, // the answer is an empty message
		"retry_policy":               noEffect, // of streams to control planes
		"skip_envoy_headers":         noEffect, // none are sent
	}
)

// accessLogs decodes access_log of a connection manager.
func (a *at) accessLogs(list []*accesslogv3.AccessLog) (out []*config.AccessLog) {
	for i, one := range list {
		place := a.item("access_log", i)
		place.only(one, accessLogFields)
		packed := one.GetTypedConfig()
		if packed == nil {
			place.in("typed_config").errorf("must be set")
			continue
		}
		var log config.AccessLog
		if f := one.GetFilter(); f != nil {
			log.Filter = new(logFilterDecoder).logFilter(place.in("filter"), f)
		}
		switch in := place.in("typed_config"); messageName(packed) {
		case grpcAccessLogMessage:
			var m alsv3.HttpGrpcAccessLogConfig
			if in.unpack(packed, &m) {
				log.GRPC = in.grpcAccessLog(&m)
			}
		case fileAccessLogMessage:
			var m filev3.FileAccessLog
			if in.unpack(packed, &m) {
				log.File = in.fileAccessLog(&m)
			}
		case stdoutAccessLogMessage:
			var m streamv3.StdoutAccessLog
			if in.unpack(packed, &m) {
				in.only(&m, streamAccessLogFields)
				log.File = in.streamAccessLog(config.StdoutPath, m.GetLogFormat())
			}
		case stderrAccessLogMessage:
			var m streamv3.StderrAccessLog
			if in.unpack(packed, &m) {
				in.only(&m, streamAccessLogFields)
				log.File = in.streamAccessLog(config.StderrPath, m.GetLogFormat())
			}
		default:
			place.errorf("%sis not supported, only %s", describe(one.ProtoReflect()), strings.Join([]string{
				typePrefix + grpcAccessLogMessage, typePrefix + fileAccessLogMessage, typePrefix + stdoutAccessLogMessage,
				typePrefix + stderrAccessLogMessage,
			}, ", "))
		}
		out = append(out, &log)
	}
	return out
}

func (a *at) grpcAccessLog(l *alsv3.HttpGrpcAccessLogConfig) *config.GRPCAccessLog {
	a.only(l, grpcAccessLogFields)
	common, place := l.GetCommonConfig(), a.in("common_config")
	place.only(common, commonAccessLogFields)
	out := &config.GRPCAccessLog{
		LogName:        common.GetLogName(),
		FlushInterval:  place.positive("buffer_flush_interval", common.GetBufferFlushInterval(), config.DefaultLogFlushInterval),
		BufferBytes:    orUint32(common.GetBufferSizeBytes(), config.DefaultLogBufferBytes),
		RequestFields:  a.loggedFields("additional_request_headers_to_log", l.GetAdditionalRequestHeadersToLog()),
		ResponseFields: a.loggedFields("additional_response_headers_to_log", l.GetAdditionalResponseHeadersToLog()),
		TrailerFields:  a.loggedFields("additional_response_trailers_to_log", l.GetAdditionalResponseTrailersToLog()),
		Tags:           place.logTags(common.GetCustomTags()),
	}
	place.in("grpc_service").logService(common.GetGrpcService(), out)
	if v := common.GetTransportApiVersion(); v == corev3.ApiVersion_V2 {
		place.in("transport_api_version").errorf("V2 is not supported, only V3")
	}
	return out
}

func (a *at) loggedFields(field string, names []string) (out []string) {
	if len(names) > maxLoggedFields {
		a.in(field).errorf("has %d names, must have at most %d", len(names), maxLoggedFields)
		return nil
	}
	for _, name := range names {
		out = append(out, strings.ToLower(name))
	}
	return out
}

// logTags decodes custom_tags.
func (a *at) logTags(list []*tracingv3.CustomTag) (out []config.LogTag) {
	if len(list) > maxLoggedFields {
		a.in("custom_tags").errorf("has %d tags, must have at most %d", len(list), maxLoggedFields)
		return nil
	}
	for i, one := range list {
		place := a.item("custom_tags", i)
		place.only(one, logTagFields)
		tag := config.LogTag{Name: one.GetTag()}
		switch t := one.GetType().(type) {
		case *tracingv3.CustomTag_Literal_:
			place.in("literal").only(t.Literal, logTagLiteralFields)
			tag.Value = t.Literal.GetValue()
		case *tracingv3.CustomTag_Environment_:
			place.in("environment").only(t.Environment, logTagFallbackFields)
			var set bool
			if tag.Value, set = os.LookupEnv(t.Environment.GetName()); !set {
				tag.Value = t.Environment.GetDefaultValue()
			}
		case *tracingv3.CustomTag_RequestHeader:
			place.in("request_header").only(t.RequestHeader, logTagFallbackFields)
			tag.Field, tag.Value = strings.ToLower(t.RequestHeader.GetName()), t.RequestHeader.GetDefaultValue()
		}
		out = append(out, tag)
	}
	return out
}

// logService decodes how a log server is reached.
func (a *at) logService(s *corev3.GrpcService, out *config.GRPCAccessLog) {
	a.only(s, logServiceFields)
	g := s.GetEnvoyGrpc()
	if g == nil {
		if s.GetGoogleGrpc() == nil {
			a.errorf("must have envoy_grpc")
		}
		return
	}
	a.in("envoy_grpc").only(g, logClusterFields)
	out.Cluster, out.Authority = g.GetClusterName(), g.GetAuthority()
	out.Metadata = a.initialMetadata(s.GetInitialMetadata())
}
