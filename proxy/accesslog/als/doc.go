// Package als sends access logs to a log server over gRPC (envoy.service.accesslog.v3.AccessLogService).
//
// Entries wait in a queue of bounded length, which a goroutine empties in batches. While the server is not there or is slow, and
// the queue is full, entries are dropped and counted: requests do not wait for their log.
package als
