package config

import "time"

// Defaults of access logs over gRPC.
const (
	DefaultLogFlushInterval = time.Second // buffer_flush_interval
	DefaultLogBufferBytes   = 16 << 10    // buffer_size_bytes
)

// GRPCAccessLog is envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig: a log server that is told of every request.
type GRPCAccessLog struct {
	LogName string
	// Cluster is the cluster of the log server.
	Cluster string
	// Entries are sent when they have waited for FlushInterval or come to BufferBytes, whichever is first.
	FlushInterval time.Duration
	BufferBytes   uint32
	// RequestFields and ResponseFields are the names, in lower case, of fields that are sent besides.
	RequestFields, ResponseFields []string
}
