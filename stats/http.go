package stats

// The statistics of HTTP. HTTPDownstreamRqStatus counts every response sent, by exact status for View.StatusCodes.
const (
	HTTPDownstreamCxDelayedCloseTimeout = iota
	HTTPDownstreamCxDestroy
	HTTPDownstreamCxDestroyActiveRq
	HTTPDownstreamCxDestroyLocal
	HTTPDownstreamCxDestroyLocalActiveRq
	HTTPDownstreamCxDestroyRemote
	HTTPDownstreamCxDestroyRemoteActiveRq
	HTTPDownstreamCxDrainClose
	HTTPDownstreamCxHTTP1Total
	HTTPDownstreamCxHTTP2Total
	HTTPDownstreamCxHTTP3Total
	HTTPDownstreamCxIdleTimeout
	HTTPDownstreamCxMaxDurationReached
	HTTPDownstreamCxMaxRequestsReached
	HTTPDownstreamCxOverloadDisableKeepalive
	HTTPDownstreamCxProtocolError
	HTTPDownstreamCxRxBytesTotal
	HTTPDownstreamCxSSLTotal
	HTTPDownstreamCxTotal
	HTTPDownstreamCxTxBytesTotal
	HTTPDownstreamCxUpgradesTotal
	HTTPDownstreamFlowControlPausedReadingTotal
	HTTPDownstreamFlowControlResumedReadingTotal
	HTTPDownstreamCxActive
	HTTPDownstreamCxHTTP1Active
	HTTPDownstreamCxHTTP2Active
	HTTPDownstreamCxHTTP3Active
	HTTPDownstreamCxRxBytesBuffered
	HTTPDownstreamCxSSLActive
	HTTPDownstreamCxTxBytesBuffered
	HTTPDownstreamCxUpgradesActive
	HTTPDownstreamCxLengthMs
	HTTPDownstreamRqFailedPathNormalization
	HTTPDownstreamRqHeaderTimeout
	HTTPDownstreamRqHTTP1Total
	HTTPDownstreamRqHTTP2Total
	HTTPDownstreamRqHTTP3Total
	HTTPDownstreamRqIdleTimeout
	HTTPDownstreamRqMaxDurationReached
	HTTPDownstreamRqNonRelativePath
	HTTPDownstreamRqOverloadClose
	HTTPDownstreamRqRedirectedWithNormalizedPath
	HTTPDownstreamRqRejectedViaIpDetection
	HTTPDownstreamRqResponseBeforeRqComplete
	HTTPDownstreamRqRxReset
	HTTPDownstreamRqTimeout
	HTTPDownstreamRqTooLarge
	HTTPDownstreamRqTooManyPrematureResets
	HTTPDownstreamRqTotal
	HTTPDownstreamRqTxReset
	HTTPDownstreamRqWsOnNonWsRoute
	HTTPRsTooLarge
	HTTPDownstreamRqActive
	HTTPDownstreamRqTime
	HTTPDownstreamRqStatus
	HTTPNoCluster
	HTTPNoRoute
	HTTPPassthroughInternalRedirectBadLocation
	HTTPPassthroughInternalRedirectNoRoute
	HTTPPassthroughInternalRedirectPredicate
	HTTPPassthroughInternalRedirectTooManyRedirects
	HTTPPassthroughInternalRedirectUnsafeScheme
	HTTPRqDirectResponse
	HTTPRqOverloadLocalReply
	HTTPRqRedirect
	HTTPRqResetAfterDownstreamResponseStarted
	HTTPRqTotal
	HTTPTracingClientEnabled
	HTTPTracingHealthCheck
	HTTPTracingNotTraceable
	HTTPTracingRandomSampling
	HTTPTracingServiceForced
)

// HTTP is the schema of "http.<stat_prefix>.": the connection manager and its router.
var HTTP = NewSchema([]Def{
	HTTPDownstreamCxDelayedCloseTimeout:             {Name: "downstream_cx_delayed_close_timeout"},
	HTTPDownstreamCxDestroy:                         {Name: "downstream_cx_destroy"},
	HTTPDownstreamCxDestroyActiveRq:                 {Name: "downstream_cx_destroy_active_rq"},
	HTTPDownstreamCxDestroyLocal:                    {Name: "downstream_cx_destroy_local"},
	HTTPDownstreamCxDestroyLocalActiveRq:            {Name: "downstream_cx_destroy_local_active_rq"},
	HTTPDownstreamCxDestroyRemote:                   {Name: "downstream_cx_destroy_remote"},
	HTTPDownstreamCxDestroyRemoteActiveRq:           {Name: "downstream_cx_destroy_remote_active_rq"},
	HTTPDownstreamCxDrainClose:                      {Name: "downstream_cx_drain_close"},
	HTTPDownstreamCxHTTP1Total:                      {Name: "downstream_cx_http1_total"},
	HTTPDownstreamCxHTTP2Total:                      {Name: "downstream_cx_http2_total"},
	HTTPDownstreamCxHTTP3Total:                      {Name: "downstream_cx_http3_total"},
	HTTPDownstreamCxIdleTimeout:                     {Name: "downstream_cx_idle_timeout"},
	HTTPDownstreamCxMaxDurationReached:              {Name: "downstream_cx_max_duration_reached"},
	HTTPDownstreamCxMaxRequestsReached:              {Name: "downstream_cx_max_requests_reached"},
	HTTPDownstreamCxOverloadDisableKeepalive:        {Name: "downstream_cx_overload_disable_keepalive"},
	HTTPDownstreamCxProtocolError:                   {Name: "downstream_cx_protocol_error"},
	HTTPDownstreamCxRxBytesTotal:                    {Name: "downstream_cx_rx_bytes_total"},
	HTTPDownstreamCxSSLTotal:                        {Name: "downstream_cx_ssl_total"},
	HTTPDownstreamCxTotal:                           {Name: "downstream_cx_total"},
	HTTPDownstreamCxTxBytesTotal:                    {Name: "downstream_cx_tx_bytes_total"},
	HTTPDownstreamCxUpgradesTotal:                   {Name: "downstream_cx_upgrades_total"},
	HTTPDownstreamFlowControlPausedReadingTotal:     {Name: "downstream_flow_control_paused_reading_total"},
	HTTPDownstreamFlowControlResumedReadingTotal:    {Name: "downstream_flow_control_resumed_reading_total"},
	HTTPDownstreamCxActive:                          {Name: "downstream_cx_active", Kind: Gauge},
	HTTPDownstreamCxHTTP1Active:                     {Name: "downstream_cx_http1_active", Kind: Gauge},
	HTTPDownstreamCxHTTP2Active:                     {Name: "downstream_cx_http2_active", Kind: Gauge},
	HTTPDownstreamCxHTTP3Active:                     {Name: "downstream_cx_http3_active", Kind: Gauge},
	HTTPDownstreamCxRxBytesBuffered:                 {Name: "downstream_cx_rx_bytes_buffered", Kind: Gauge},
	HTTPDownstreamCxSSLActive:                       {Name: "downstream_cx_ssl_active", Kind: Gauge},
	HTTPDownstreamCxTxBytesBuffered:                 {Name: "downstream_cx_tx_bytes_buffered", Kind: Gauge},
	HTTPDownstreamCxUpgradesActive:                  {Name: "downstream_cx_upgrades_active", Kind: Gauge},
	HTTPDownstreamCxLengthMs:                        {Name: "downstream_cx_length_ms", Kind: Histogram, Unit: Milliseconds},
	HTTPDownstreamRqFailedPathNormalization:         {Name: "downstream_rq_failed_path_normalization"},
	HTTPDownstreamRqHeaderTimeout:                   {Name: "downstream_rq_header_timeout"},
	HTTPDownstreamRqHTTP1Total:                      {Name: "downstream_rq_http1_total"},
	HTTPDownstreamRqHTTP2Total:                      {Name: "downstream_rq_http2_total"},
	HTTPDownstreamRqHTTP3Total:                      {Name: "downstream_rq_http3_total"},
	HTTPDownstreamRqIdleTimeout:                     {Name: "downstream_rq_idle_timeout"},
	HTTPDownstreamRqMaxDurationReached:              {Name: "downstream_rq_max_duration_reached"},
	HTTPDownstreamRqNonRelativePath:                 {Name: "downstream_rq_non_relative_path"},
	HTTPDownstreamRqOverloadClose:                   {Name: "downstream_rq_overload_close"},
	HTTPDownstreamRqRedirectedWithNormalizedPath:    {Name: "downstream_rq_redirected_with_normalized_path"},
	HTTPDownstreamRqRejectedViaIpDetection:          {Name: "downstream_rq_rejected_via_ip_detection"},
	HTTPDownstreamRqResponseBeforeRqComplete:        {Name: "downstream_rq_response_before_rq_complete"},
	HTTPDownstreamRqRxReset:                         {Name: "downstream_rq_rx_reset"},
	HTTPDownstreamRqTimeout:                         {Name: "downstream_rq_timeout"},
	HTTPDownstreamRqTooLarge:                        {Name: "downstream_rq_too_large"},
	HTTPDownstreamRqTooManyPrematureResets:          {Name: "downstream_rq_too_many_premature_resets"},
	HTTPDownstreamRqTotal:                           {Name: "downstream_rq_total"},
	HTTPDownstreamRqTxReset:                         {Name: "downstream_rq_tx_reset"},
	HTTPDownstreamRqWsOnNonWsRoute:                  {Name: "downstream_rq_ws_on_non_ws_route"},
	HTTPRsTooLarge:                                  {Name: "rs_too_large"},
	HTTPDownstreamRqActive:                          {Name: "downstream_rq_active", Kind: Gauge},
	HTTPDownstreamRqTime:                            {Name: "downstream_rq_time", Kind: Histogram, Unit: Milliseconds},
	HTTPDownstreamRqStatus:                          {Name: "downstream_rq_", Kind: StatusClass},
	HTTPNoCluster:                                   {Name: "no_cluster"},
	HTTPNoRoute:                                     {Name: "no_route"},
	HTTPPassthroughInternalRedirectBadLocation:      {Name: "passthrough_internal_redirect_bad_location"},
	HTTPPassthroughInternalRedirectNoRoute:          {Name: "passthrough_internal_redirect_no_route"},
	HTTPPassthroughInternalRedirectPredicate:        {Name: "passthrough_internal_redirect_predicate"},
	HTTPPassthroughInternalRedirectTooManyRedirects: {Name: "passthrough_internal_redirect_too_many_redirects"},
	HTTPPassthroughInternalRedirectUnsafeScheme:     {Name: "passthrough_internal_redirect_unsafe_scheme"},
	HTTPRqDirectResponse:                            {Name: "rq_direct_response"},
	HTTPRqOverloadLocalReply:                        {Name: "rq_overload_local_reply"},
	HTTPRqRedirect:                                  {Name: "rq_redirect"},
	HTTPRqResetAfterDownstreamResponseStarted:       {Name: "rq_reset_after_downstream_response_started"},
	HTTPRqTotal:               {Name: "rq_total"},
	HTTPTracingClientEnabled:  {Name: "tracing.client_enabled"},
	HTTPTracingHealthCheck:    {Name: "tracing.health_check"},
	HTTPTracingNotTraceable:   {Name: "tracing.not_traceable"},
	HTTPTracingRandomSampling: {Name: "tracing.random_sampling"},
	HTTPTracingServiceForced:  {Name: "tracing.service_forced"},
}...)

// The statistics of HTTP1Codec.
const (
	HTTP1DroppedHeadersWithUnderscores = iota
	HTTP1MetadataNotSupportedError
	HTTP1RequestsRejectedWithUnderscoresInHeaders
	HTTP1ResponseFlood
)

// HTTP1Codec is the schema of "http1." and "cluster.<name>.http1.".
var HTTP1Codec = NewSchema([]Def{
	HTTP1DroppedHeadersWithUnderscores:            {Name: "dropped_headers_with_underscores"},
	HTTP1MetadataNotSupportedError:                {Name: "metadata_not_supported_error"},
	HTTP1RequestsRejectedWithUnderscoresInHeaders: {Name: "requests_rejected_with_underscores_in_headers"},
	HTTP1ResponseFlood:                            {Name: "response_flood"},
}...)

// The statistics of HTTP2Codec.
const (
	HTTP2DroppedHeadersWithUnderscores = iota
	HTTP2GoawaySent
	HTTP2HeaderOverflow
	HTTP2HeadersCBNoStream
	HTTP2InboundEmptyFramesFlood
	HTTP2InboundPriorityFramesFlood
	HTTP2InboundWindowUpdateFramesFlood
	HTTP2KeepaliveTimeout
	HTTP2MetadataEmptyFrames
	HTTP2OutboundControlFlood
	HTTP2OutboundFlood
	HTTP2RequestsRejectedWithUnderscoresInHeaders
	HTTP2RxMessagingError
	HTTP2RxReset
	HTTP2StreamRefusedErrors
	HTTP2Trailers
	HTTP2TxFlushTimeout
	HTTP2TxReset
	HTTP2DeferredStreamClose
	HTTP2OutboundControlFramesActive
	HTTP2OutboundFramesActive
	HTTP2PendingSendBytes
	HTTP2StreamsActive
)

// HTTP2Codec is the schema of "http2." and "cluster.<name>.http2.".
var HTTP2Codec = NewSchema([]Def{
	HTTP2DroppedHeadersWithUnderscores:            {Name: "dropped_headers_with_underscores"},
	HTTP2GoawaySent:                               {Name: "goaway_sent"},
	HTTP2HeaderOverflow:                           {Name: "header_overflow"},
	HTTP2HeadersCBNoStream:                        {Name: "headers_cb_no_stream"},
	HTTP2InboundEmptyFramesFlood:                  {Name: "inbound_empty_frames_flood"},
	HTTP2InboundPriorityFramesFlood:               {Name: "inbound_priority_frames_flood"},
	HTTP2InboundWindowUpdateFramesFlood:           {Name: "inbound_window_update_frames_flood"},
	HTTP2KeepaliveTimeout:                         {Name: "keepalive_timeout"},
	HTTP2MetadataEmptyFrames:                      {Name: "metadata_empty_frames"},
	HTTP2OutboundControlFlood:                     {Name: "outbound_control_flood"},
	HTTP2OutboundFlood:                            {Name: "outbound_flood"},
	HTTP2RequestsRejectedWithUnderscoresInHeaders: {Name: "requests_rejected_with_underscores_in_headers"},
	HTTP2RxMessagingError:                         {Name: "rx_messaging_error"},
	HTTP2RxReset:                                  {Name: "rx_reset"},
	HTTP2StreamRefusedErrors:                      {Name: "stream_refused_errors"},
	HTTP2Trailers:                                 {Name: "trailers"},
	HTTP2TxFlushTimeout:                           {Name: "tx_flush_timeout"},
	HTTP2TxReset:                                  {Name: "tx_reset"},
	HTTP2DeferredStreamClose:                      {Name: "deferred_stream_close", Kind: Gauge},
	HTTP2OutboundControlFramesActive:              {Name: "outbound_control_frames_active", Kind: Gauge},
	HTTP2OutboundFramesActive:                     {Name: "outbound_frames_active", Kind: Gauge},
	HTTP2PendingSendBytes:                         {Name: "pending_send_bytes", Kind: Gauge},
	HTTP2StreamsActive:                            {Name: "streams_active", Kind: Gauge},
}...)

// The statistics of Virtual.
const (
	VirtualUpstreamRqRetry = iota
	VirtualUpstreamRqRetryLimitExceeded
	VirtualUpstreamRqRetryOverflow
	VirtualUpstreamRqRetrySuccess
	VirtualUpstreamRqTimeout
	VirtualUpstreamRqTotal
	VirtualUpstreamRqTime
	VirtualUpstreamRqStatus
)

// Virtual is the schema of "vhost.<virtual host>.vcluster.<name>." and "vhost.<virtual host>.route.<stat_prefix>.".
var Virtual = NewSchema([]Def{
	VirtualUpstreamRqRetry:              {Name: "upstream_rq_retry"},
	VirtualUpstreamRqRetryLimitExceeded: {Name: "upstream_rq_retry_limit_exceeded"},
	VirtualUpstreamRqRetryOverflow:      {Name: "upstream_rq_retry_overflow"},
	VirtualUpstreamRqRetrySuccess:       {Name: "upstream_rq_retry_success"},
	VirtualUpstreamRqTimeout:            {Name: "upstream_rq_timeout"},
	VirtualUpstreamRqTotal:              {Name: "upstream_rq_total"},
	VirtualUpstreamRqTime:               {Name: "upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
	VirtualUpstreamRqStatus:             {Name: "upstream_rq_", Kind: StatusCode, Dynamic: true},
}...)

// The statistics of Route. RouteErrors are responses of 500 and above.
const (
	RouteRequests = iota
	RouteErrors
	RouteTime
)

// Route is the schema of one route, for a hidden scope: ModuleService shows it, /stats does not.
var Route = NewSchema([]Def{
	RouteRequests: {Name: "requests"},
	RouteErrors:   {Name: "errors"},
	RouteTime:     {Name: "time", Kind: Histogram, Unit: Milliseconds},
}...)
