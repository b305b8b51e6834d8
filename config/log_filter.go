package config

// LogFilter is envoy.config.accesslog.v3.AccessLogFilter: which entries an access log is told of. Kind says which of the others
// are set.
type LogFilter struct {
	Kind LogFilterKind

	Compare LogComparison   // of LogFilterStatus and, in milliseconds, LogFilterDuration
	Sample  LogSample       // of LogFilterRuntime
	Filters []*LogFilter    // of LogFilterAnd and LogFilterOr, at least two
	Header  HeaderMatcher   // of the request, of LogFilterHeader
	Flags   []string        // short names, one of which must be set, of LogFilterFlags; none means any flag
	GRPC    map[uint32]bool // the statuses of LogFilterGRPCStatus
	Types   map[LogType]bool
	Exclude bool // has those pass that are not among GRPC or Types
}

// LogFilterKind is what a LogFilter asks.
type LogFilterKind uint8

// The kinds of log filters.
const (
	LogFilterStatus         LogFilterKind = iota // status_code_filter
	LogFilterDuration                            // duration_filter
	LogFilterNotHealthCheck                      // not_health_check_filter
	LogFilterTraceable                           // traceable_filter
	LogFilterRuntime                             // runtime_filter
	LogFilterAnd                                 // and_filter
	LogFilterOr                                  // or_filter
	LogFilterHeader                              // header_filter
	LogFilterFlags                               // response_flag_filter
	LogFilterGRPCStatus                          // grpc_status_filter
	LogFilterType                                // log_type_filter
)

// LogComparison is envoy.config.accesslog.v3.ComparisonFilter.
type LogComparison struct {
	Op      LogComparisonOp
	Default uint32
	Key     string // of the runtime, whose value goes before Default
}

// LogComparisonOp is how a value is compared with that of a LogComparison.
type LogComparisonOp uint8

// The values of ComparisonFilter.Op.
const (
	LogEqual LogComparisonOp = iota
	LogAtLeast
	LogAtMost
	LogNotEqual
)

// LogSample is envoy.config.accesslog.v3.RuntimeFilter: a share of the requests.
type LogSample struct {
	Key string // of the runtime, whose value goes before Numerator
	// Of Denominator requests, Numerator pass.
	Numerator, Denominator uint32
	// Independent has chance decide, and not x-request-id.
	Independent bool
}

// LogType is envoy.data.accesslog.v3.AccessLogType: what an entry of an access log is about.
type LogType uint8

// The types of entries that there are, with the numbers of the API.
const (
	LogNotSet               LogType = 0 // a connection, in the log of its listener
	LogTCPUpstreamConnected LogType = 1 // a TCP proxy has a connection to a host
	LogTCPPeriodic          LogType = 2 // a connection of a TCP proxy that goes on
	LogTCPConnectionEnd     LogType = 3
	LogDownstreamEnd        LogType = 6 // of a request
	LogTCPConnectionStart   LogType = 14
)

// String returns the name of the type in the API.
func (t LogType) String() string {
	switch t {
	case LogTCPUpstreamConnected:
		return "TcpUpstreamConnected"
	case LogTCPPeriodic:
		return "TcpPeriodic"
	case LogTCPConnectionEnd:
		return "TcpConnectionEnd"
	case LogDownstreamEnd:
		return "DownstreamEnd"
	case LogTCPConnectionStart:
		return "TcpConnectionStart"
	}
	return "NotSet"
}
