package admin

import "time"

// The bounds of each server. Its clients are people, probes and collectors: few, near, and patient.
const (
	// maxConnections bounds the connections of one server. Each costs two buffers and a response; what does not fit is
	// told 503 and closed.
	maxConnections = 256
	// maxHeaderBytes bounds the request line and fields together. A long filter or field mask is a few KiB.
	maxHeaderBytes = 16 << 10
	// maxBodyBytes bounds the body of a request: a form of a few fields.
	maxBodyBytes = 64 << 10
	// maxScrapes bounds the answers of /metrics in the making, each a list of every statistic.
	maxScrapes = 8

	// readTimeout bounds the time from the first byte of a request to its last.
	readTimeout = 10 * time.Second
	// writeTimeout bounds the time of sending a response. The statistics of a large configuration are 100 MB.
	writeTimeout = time.Minute
	// idleTimeout keeps a connection for a collector that comes once a minute.
	idleTimeout = 2 * time.Minute
)
