package config

import "time"

// Defaults of access logs over gRPC.
const (
	DefaultLogFlushInterval = time.Second // buffer_flush_interval
	DefaultLogBufferBytes   = 16 << 10    // buffer_size_bytes
)

// AccessLog is envoy.config.accesslog.v3.AccessLog: who is told of requests and connections. Of GRPC and File exactly one is set.
type AccessLog struct {
	Filter *LogFilter // nil: of all

	GRPC *GRPCAccessLog
	File *FileAccessLog
}

// GRPCAccessLog is envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig: a log server that is told of every request.
type GRPCAccessLog struct {
	LogName string
	// Cluster is the cluster of the log server, and Authority what it is asked as, empty for the cluster's name.
	Cluster, Authority string
	// Metadata is sent when a stream begins (initial_metadata).
	Metadata []Metadata
	// Entries are sent when they have waited for FlushInterval or come to BufferBytes, whichever is first.
	FlushInterval time.Duration
	BufferBytes   uint32
	// RequestFields, ResponseFields and TrailerFields are the names, in lower case, of fields that are sent besides.
	RequestFields, ResponseFields, TrailerFields []string
	// Tags are sent with every entry.
	Tags []LogTag
}

// Metadata is an entry of gRPC metadata. The key is in lower case; the value of one that ends in -bin is any bytes.
type Metadata struct{ Key, Value string }

// LogTag is envoy.type.tracing.v3.CustomTag.
type LogTag struct {
	Name string
	// Value is that of the tag, or what stands in for the field, in lower case, of a request that has none. Without either there is
	// no tag.
	Value string
	Field string
}

// DefaultLogFormat is the text format of Envoy's access logs.
const DefaultLogFormat = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ` +
	`"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

// LogFormat is envoy.config.core.v3.SubstitutionFormatString: how the lines of an access log look.
type LogFormat struct {
	Text string
	// JSON is the object of each line, instead of Text, nil without: texts, which may have command operators, numbers, truth
	// values, nil, []any and map[string]any.
	JSON map[string]any
	// OmitEmpty leaves out what has no value.
	OmitEmpty bool
}

// Paths that are the process's own streams, whatever the file system has there.
const (
	StdoutPath = "/dev/stdout"
	StderrPath = "/dev/stderr"
)

// FileAccessLog is envoy.extensions.access_loggers.file.v3.FileAccessLog: a file that each request adds a line to.
type FileAccessLog struct {
	Path   string
	Format LogFormat
}
