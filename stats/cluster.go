package stats

// The statistics of Cluster. ClusterUpstreamRqStatus counts what went downstream; a response that was retried counts in
// ClusterRetryUpstreamRqStatus.
const (
	ClusterAssignmentStale = iota
	ClusterAssignmentTimeoutReceived
	ClusterAssignmentUseCached
	ClusterUpdateAttempt
	ClusterUpdateEmpty
	ClusterUpdateFailure
	ClusterUpdateNoRebuild
	ClusterUpdateRejected
	ClusterUpdateSuccess
	ClusterInitFetchTimeout
	ClusterUpdateTime
	ClusterVersion
	ClusterWarmingState
	ClusterMaxHostWeight
	ClusterUpdateDuration
	ClusterMembershipChange
	ClusterMembershipDegraded
	ClusterMembershipExcluded
	ClusterMembershipHealthy
	ClusterMembershipTotal
	ClusterLBHealthyPanic
	ClusterLBLocalClusterNotOk
	ClusterLBRecalculateZoneStructures
	ClusterLBSubsetsCreated
	ClusterLBSubsetsFallback
	ClusterLBSubsetsFallbackPanic
	ClusterLBSubsetsRemoved
	ClusterLBSubsetsSelected
	ClusterLBZoneClusterTooSmall
	ClusterLBZoneNoCapacityLeft
	ClusterLBZoneNumberDiffers
	ClusterLBZoneRoutingAllDirectly
	ClusterLBZoneRoutingCrossZone
	ClusterLBZoneRoutingSampled
	ClusterLBSubsetsActive
	ClusterCircuitBreakersDefaultCxOpen
	ClusterCircuitBreakersDefaultCxPoolOpen
	ClusterCircuitBreakersDefaultRqOpen
	ClusterCircuitBreakersDefaultRqPendingOpen
	ClusterCircuitBreakersDefaultRqRetryOpen
	ClusterCircuitBreakersDefaultRemainingCx
	ClusterCircuitBreakersDefaultRemainingCxPools
	ClusterCircuitBreakersDefaultRemainingPending
	ClusterCircuitBreakersDefaultRemainingRetries
	ClusterCircuitBreakersDefaultRemainingRq
	ClusterCircuitBreakersHighCxOpen
	ClusterCircuitBreakersHighCxPoolOpen
	ClusterCircuitBreakersHighRqOpen
	ClusterCircuitBreakersHighRqPendingOpen
	ClusterCircuitBreakersHighRqRetryOpen
	ClusterCircuitBreakersHighRemainingCx
	ClusterCircuitBreakersHighRemainingCxPools
	ClusterCircuitBreakersHighRemainingPending
	ClusterCircuitBreakersHighRemainingRetries
	ClusterCircuitBreakersHighRemainingRq
	ClusterBindErrors
	ClusterOriginalDstHostInvalid
	ClusterRetryOrShadowAbandoned
	ClusterUpstreamCxCloseNotify
	ClusterUpstreamCxConnectAttemptsExceeded
	ClusterUpstreamCxConnectFail
	ClusterUpstreamCxConnectTimeout
	ClusterUpstreamCxConnectWith0Rtt
	ClusterUpstreamCxDestroy
	ClusterUpstreamCxDestroyLocal
	ClusterUpstreamCxDestroyLocalWithActiveRq
	ClusterUpstreamCxDestroyRemote
	ClusterUpstreamCxDestroyRemoteWithActiveRq
	ClusterUpstreamCxDestroyWithActiveRq
	ClusterUpstreamCxHTTP1Total
	ClusterUpstreamCxHTTP2Total
	ClusterUpstreamCxHTTP3Total
	ClusterUpstreamCxIdleTimeout
	ClusterUpstreamCxMaxDurationReached
	ClusterUpstreamCxMaxRequests
	ClusterUpstreamCxNoneHealthy
	ClusterUpstreamCxOverflow
	ClusterUpstreamCxPoolOverflow
	ClusterUpstreamCxProtocolError
	ClusterUpstreamCxRxBytesTotal
	ClusterUpstreamCxTotal
	ClusterUpstreamCxTxBytesTotal
	ClusterUpstreamCxActive
	ClusterUpstreamCxRxBytesBuffered
	ClusterUpstreamCxTxBytesBuffered
	ClusterUpstreamCxConnectMs
	ClusterUpstreamCxLengthMs
	ClusterUpstreamFlowControlBackedUpTotal
	ClusterUpstreamFlowControlDrainedTotal
	ClusterUpstreamFlowControlPausedReadingTotal
	ClusterUpstreamFlowControlResumedReadingTotal
	ClusterUpstreamHTTP3Broken
	ClusterUpstreamInternalRedirectFailedTotal
	ClusterUpstreamInternalRedirectSucceededTotal
	ClusterUpstreamRqZeroRTT
	ClusterUpstreamRqActiveOverflow
	ClusterUpstreamRqCancelled
	ClusterUpstreamRqMaintenanceMode
	ClusterUpstreamRqMaxDurationReached
	ClusterUpstreamRqPendingFailureEject
	ClusterUpstreamRqPendingOverflow
	ClusterUpstreamRqPendingTotal
	ClusterUpstreamRqPerTryIdleTimeout
	ClusterUpstreamRqPerTryTimeout
	ClusterUpstreamRqRetry
	ClusterUpstreamRqRetryBackoffExponential
	ClusterUpstreamRqRetryBackoffRatelimited
	ClusterUpstreamRqRetryLimitExceeded
	ClusterUpstreamRqRetryOverflow
	ClusterUpstreamRqRetrySuccess
	ClusterUpstreamRqRxReset
	ClusterUpstreamRqTimeout
	ClusterUpstreamRqTotal
	ClusterUpstreamRqTxReset
	ClusterUpstreamRqActive
	ClusterUpstreamRqPendingActive
	ClusterUpstreamRqTime
	ClusterUpstreamRqStatus
	ClusterRetryUpstreamRqStatus
	ClusterInternalUpstreamRqStatus
	ClusterInternalUpstreamRqTime
	ClusterExternalUpstreamRqStatus
	ClusterExternalUpstreamRqTime
	ClusterCanaryUpstreamRqStatus
	ClusterCanaryUpstreamRqTime
)

// Cluster is the schema of "cluster.<name>.". Statistics of process-wide state, as circuit_breakers.*.remaining_*, are to be
// set on the Scope, last writer wins; those of a worker's own connections and requests on its Block.
var Cluster = NewSchema([]Def{
	ClusterAssignmentStale:                        {Name: "assignment_stale"},
	ClusterAssignmentTimeoutReceived:              {Name: "assignment_timeout_received"},
	ClusterAssignmentUseCached:                    {Name: "assignment_use_cached"},
	ClusterUpdateAttempt:                          {Name: "update_attempt"},
	ClusterUpdateEmpty:                            {Name: "update_empty"},
	ClusterUpdateFailure:                          {Name: "update_failure"},
	ClusterUpdateNoRebuild:                        {Name: "update_no_rebuild"},
	ClusterUpdateRejected:                         {Name: "update_rejected"},
	ClusterUpdateSuccess:                          {Name: "update_success"},
	ClusterInitFetchTimeout:                       {Name: "init_fetch_timeout"},
	ClusterUpdateTime:                             {Name: "update_time", Kind: Gauge, Merge: Max},
	ClusterVersion:                                {Name: "version", Kind: Gauge, Merge: Max},
	ClusterWarmingState:                           {Name: "warming_state", Kind: Gauge, Merge: Max},
	ClusterMaxHostWeight:                          {Name: "max_host_weight", Kind: Gauge, Merge: Max},
	ClusterUpdateDuration:                         {Name: "update_duration", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
	ClusterMembershipChange:                       {Name: "membership_change"},
	ClusterMembershipDegraded:                     {Name: "membership_degraded", Kind: Gauge, Merge: Max},
	ClusterMembershipExcluded:                     {Name: "membership_excluded", Kind: Gauge, Merge: Max},
	ClusterMembershipHealthy:                      {Name: "membership_healthy", Kind: Gauge, Merge: Max},
	ClusterMembershipTotal:                        {Name: "membership_total", Kind: Gauge, Merge: Max},
	ClusterLBHealthyPanic:                         {Name: "lb_healthy_panic"},
	ClusterLBLocalClusterNotOk:                    {Name: "lb_local_cluster_not_ok"},
	ClusterLBRecalculateZoneStructures:            {Name: "lb_recalculate_zone_structures"},
	ClusterLBSubsetsCreated:                       {Name: "lb_subsets_created"},
	ClusterLBSubsetsFallback:                      {Name: "lb_subsets_fallback"},
	ClusterLBSubsetsFallbackPanic:                 {Name: "lb_subsets_fallback_panic"},
	ClusterLBSubsetsRemoved:                       {Name: "lb_subsets_removed"},
	ClusterLBSubsetsSelected:                      {Name: "lb_subsets_selected"},
	ClusterLBZoneClusterTooSmall:                  {Name: "lb_zone_cluster_too_small"},
	ClusterLBZoneNoCapacityLeft:                   {Name: "lb_zone_no_capacity_left"},
	ClusterLBZoneNumberDiffers:                    {Name: "lb_zone_number_differs"},
	ClusterLBZoneRoutingAllDirectly:               {Name: "lb_zone_routing_all_directly"},
	ClusterLBZoneRoutingCrossZone:                 {Name: "lb_zone_routing_cross_zone"},
	ClusterLBZoneRoutingSampled:                   {Name: "lb_zone_routing_sampled"},
	ClusterLBSubsetsActive:                        {Name: "lb_subsets_active", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultCxOpen:           {Name: "circuit_breakers.default.cx_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultCxPoolOpen:       {Name: "circuit_breakers.default.cx_pool_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultRqOpen:           {Name: "circuit_breakers.default.rq_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultRqPendingOpen:    {Name: "circuit_breakers.default.rq_pending_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultRqRetryOpen:      {Name: "circuit_breakers.default.rq_retry_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersDefaultRemainingCx:      {Name: "circuit_breakers.default.remaining_cx", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersDefaultRemainingCxPools: {Name: "circuit_breakers.default.remaining_cx_pools", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersDefaultRemainingPending: {Name: "circuit_breakers.default.remaining_pending", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersDefaultRemainingRetries: {Name: "circuit_breakers.default.remaining_retries", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersDefaultRemainingRq:      {Name: "circuit_breakers.default.remaining_rq", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersHighCxOpen:              {Name: "circuit_breakers.high.cx_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersHighCxPoolOpen:          {Name: "circuit_breakers.high.cx_pool_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersHighRqOpen:              {Name: "circuit_breakers.high.rq_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersHighRqPendingOpen:       {Name: "circuit_breakers.high.rq_pending_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersHighRqRetryOpen:         {Name: "circuit_breakers.high.rq_retry_open", Kind: Gauge, Merge: Max},
	ClusterCircuitBreakersHighRemainingCx:         {Name: "circuit_breakers.high.remaining_cx", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersHighRemainingCxPools:    {Name: "circuit_breakers.high.remaining_cx_pools", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersHighRemainingPending:    {Name: "circuit_breakers.high.remaining_pending", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersHighRemainingRetries:    {Name: "circuit_breakers.high.remaining_retries", Kind: Gauge, Dynamic: true},
	ClusterCircuitBreakersHighRemainingRq:         {Name: "circuit_breakers.high.remaining_rq", Kind: Gauge, Dynamic: true},
	ClusterBindErrors:                             {Name: "bind_errors"},
	ClusterOriginalDstHostInvalid:                 {Name: "original_dst_host_invalid"},
	ClusterRetryOrShadowAbandoned:                 {Name: "retry_or_shadow_abandoned"},
	ClusterUpstreamCxCloseNotify:                  {Name: "upstream_cx_close_notify"},
	ClusterUpstreamCxConnectAttemptsExceeded:      {Name: "upstream_cx_connect_attempts_exceeded"},
	ClusterUpstreamCxConnectFail:                  {Name: "upstream_cx_connect_fail"},
	ClusterUpstreamCxConnectTimeout:               {Name: "upstream_cx_connect_timeout"},
	ClusterUpstreamCxConnectWith0Rtt:              {Name: "upstream_cx_connect_with_0_rtt"},
	ClusterUpstreamCxDestroy:                      {Name: "upstream_cx_destroy"},
	ClusterUpstreamCxDestroyLocal:                 {Name: "upstream_cx_destroy_local"},
	ClusterUpstreamCxDestroyLocalWithActiveRq:     {Name: "upstream_cx_destroy_local_with_active_rq"},
	ClusterUpstreamCxDestroyRemote:                {Name: "upstream_cx_destroy_remote"},
	ClusterUpstreamCxDestroyRemoteWithActiveRq:    {Name: "upstream_cx_destroy_remote_with_active_rq"},
	ClusterUpstreamCxDestroyWithActiveRq:          {Name: "upstream_cx_destroy_with_active_rq"},
	ClusterUpstreamCxHTTP1Total:                   {Name: "upstream_cx_http1_total"},
	ClusterUpstreamCxHTTP2Total:                   {Name: "upstream_cx_http2_total"},
	ClusterUpstreamCxHTTP3Total:                   {Name: "upstream_cx_http3_total"},
	ClusterUpstreamCxIdleTimeout:                  {Name: "upstream_cx_idle_timeout"},
	ClusterUpstreamCxMaxDurationReached:           {Name: "upstream_cx_max_duration_reached"},
	ClusterUpstreamCxMaxRequests:                  {Name: "upstream_cx_max_requests"},
	ClusterUpstreamCxNoneHealthy:                  {Name: "upstream_cx_none_healthy"},
	ClusterUpstreamCxOverflow:                     {Name: "upstream_cx_overflow"},
	ClusterUpstreamCxPoolOverflow:                 {Name: "upstream_cx_pool_overflow"},
	ClusterUpstreamCxProtocolError:                {Name: "upstream_cx_protocol_error"},
	ClusterUpstreamCxRxBytesTotal:                 {Name: "upstream_cx_rx_bytes_total"},
	ClusterUpstreamCxTotal:                        {Name: "upstream_cx_total"},
	ClusterUpstreamCxTxBytesTotal:                 {Name: "upstream_cx_tx_bytes_total"},
	ClusterUpstreamCxActive:                       {Name: "upstream_cx_active", Kind: Gauge},
	ClusterUpstreamCxRxBytesBuffered:              {Name: "upstream_cx_rx_bytes_buffered", Kind: Gauge},
	ClusterUpstreamCxTxBytesBuffered:              {Name: "upstream_cx_tx_bytes_buffered", Kind: Gauge},
	ClusterUpstreamCxConnectMs:                    {Name: "upstream_cx_connect_ms", Kind: Histogram, Unit: Milliseconds},
	ClusterUpstreamCxLengthMs:                     {Name: "upstream_cx_length_ms", Kind: Histogram, Unit: Milliseconds},
	ClusterUpstreamFlowControlBackedUpTotal:       {Name: "upstream_flow_control_backed_up_total"},
	ClusterUpstreamFlowControlDrainedTotal:        {Name: "upstream_flow_control_drained_total"},
	ClusterUpstreamFlowControlPausedReadingTotal:  {Name: "upstream_flow_control_paused_reading_total"},
	ClusterUpstreamFlowControlResumedReadingTotal: {Name: "upstream_flow_control_resumed_reading_total"},
	ClusterUpstreamHTTP3Broken:                    {Name: "upstream_http3_broken"},
	ClusterUpstreamInternalRedirectFailedTotal:    {Name: "upstream_internal_redirect_failed_total"},
	ClusterUpstreamInternalRedirectSucceededTotal: {Name: "upstream_internal_redirect_succeeded_total"},
	ClusterUpstreamRqZeroRTT:                      {Name: "upstream_rq_0rtt"},
	ClusterUpstreamRqActiveOverflow:               {Name: "upstream_rq_active_overflow"},
	ClusterUpstreamRqCancelled:                    {Name: "upstream_rq_cancelled"},
	ClusterUpstreamRqMaintenanceMode:              {Name: "upstream_rq_maintenance_mode"},
	ClusterUpstreamRqMaxDurationReached:           {Name: "upstream_rq_max_duration_reached"},
	ClusterUpstreamRqPendingFailureEject:          {Name: "upstream_rq_pending_failure_eject"},
	ClusterUpstreamRqPendingOverflow:              {Name: "upstream_rq_pending_overflow"},
	ClusterUpstreamRqPendingTotal:                 {Name: "upstream_rq_pending_total"},
	ClusterUpstreamRqPerTryIdleTimeout:            {Name: "upstream_rq_per_try_idle_timeout"},
	ClusterUpstreamRqPerTryTimeout:                {Name: "upstream_rq_per_try_timeout"},
	ClusterUpstreamRqRetry:                        {Name: "upstream_rq_retry"},
	ClusterUpstreamRqRetryBackoffExponential:      {Name: "upstream_rq_retry_backoff_exponential"},
	ClusterUpstreamRqRetryBackoffRatelimited:      {Name: "upstream_rq_retry_backoff_ratelimited"},
	ClusterUpstreamRqRetryLimitExceeded:           {Name: "upstream_rq_retry_limit_exceeded"},
	ClusterUpstreamRqRetryOverflow:                {Name: "upstream_rq_retry_overflow"},
	ClusterUpstreamRqRetrySuccess:                 {Name: "upstream_rq_retry_success"},
	ClusterUpstreamRqRxReset:                      {Name: "upstream_rq_rx_reset"},
	ClusterUpstreamRqTimeout:                      {Name: "upstream_rq_timeout"},
	ClusterUpstreamRqTotal:                        {Name: "upstream_rq_total"},
	ClusterUpstreamRqTxReset:                      {Name: "upstream_rq_tx_reset"},
	ClusterUpstreamRqActive:                       {Name: "upstream_rq_active", Kind: Gauge},
	ClusterUpstreamRqPendingActive:                {Name: "upstream_rq_pending_active", Kind: Gauge},
	ClusterUpstreamRqTime:                         {Name: "upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
	ClusterUpstreamRqStatus:                       {Name: "upstream_rq_", Kind: StatusCode},
	ClusterRetryUpstreamRqStatus:                  {Name: "retry.upstream_rq_", Kind: StatusCode, Dynamic: true},
	ClusterInternalUpstreamRqStatus:               {Name: "internal.upstream_rq_", Kind: StatusCode, Dynamic: true},
	ClusterInternalUpstreamRqTime:                 {Name: "internal.upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
	ClusterExternalUpstreamRqStatus:               {Name: "external.upstream_rq_", Kind: StatusCode, Dynamic: true},
	ClusterExternalUpstreamRqTime:                 {Name: "external.upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
	ClusterCanaryUpstreamRqStatus:                 {Name: "canary.upstream_rq_", Kind: StatusCode, Dynamic: true},
	ClusterCanaryUpstreamRqTime:                   {Name: "canary.upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
}...)

// The statistics of ClusterZone.
const (
	ClusterZoneUpstreamRqStatus = iota
	ClusterZoneUpstreamRqTime
)

// ClusterZone is the schema of "cluster.<name>.zone.<from>.<to>.".
var ClusterZone = NewSchema([]Def{
	ClusterZoneUpstreamRqStatus: {Name: "upstream_rq_", Kind: StatusCode, Dynamic: true},
	ClusterZoneUpstreamRqTime:   {Name: "upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
}...)

// The statistics of OutlierDetection.
const (
	OutlierEjectionsConsecutive5xx = iota
	OutlierEjectionsDetectedConsecutive5xx
	OutlierEjectionsDetectedConsecutiveGatewayFailure
	OutlierEjectionsDetectedConsecutiveLocalOriginFailure
	OutlierEjectionsDetectedFailurePercentage
	OutlierEjectionsDetectedLocalOriginFailurePercentage
	OutlierEjectionsDetectedLocalOriginSuccessRate
	OutlierEjectionsDetectedSuccessRate
	OutlierEjectionsEnforcedConsecutive5xx
	OutlierEjectionsEnforcedConsecutiveGatewayFailure
	OutlierEjectionsEnforcedConsecutiveLocalOriginFailure
	OutlierEjectionsEnforcedFailurePercentage
	OutlierEjectionsEnforcedLocalOriginFailurePercentage
	OutlierEjectionsEnforcedLocalOriginSuccessRate
	OutlierEjectionsEnforcedSuccessRate
	OutlierEjectionsEnforcedTotal
	OutlierEjectionsOverflow
	OutlierEjectionsSuccessRate
	OutlierEjectionsTotal
	OutlierEjectionsActive
)

// OutlierDetection is the schema of "cluster.<name>.outlier_detection.", of clusters that have it.
var OutlierDetection = NewSchema([]Def{
	OutlierEjectionsConsecutive5xx:                        {Name: "ejections_consecutive_5xx"},
	OutlierEjectionsDetectedConsecutive5xx:                {Name: "ejections_detected_consecutive_5xx"},
	OutlierEjectionsDetectedConsecutiveGatewayFailure:     {Name: "ejections_detected_consecutive_gateway_failure"},
	OutlierEjectionsDetectedConsecutiveLocalOriginFailure: {Name: "ejections_detected_consecutive_local_origin_failure"},
	OutlierEjectionsDetectedFailurePercentage:             {Name: "ejections_detected_failure_percentage"},
	OutlierEjectionsDetectedLocalOriginFailurePercentage:  {Name: "ejections_detected_local_origin_failure_percentage"},
	OutlierEjectionsDetectedLocalOriginSuccessRate:        {Name: "ejections_detected_local_origin_success_rate"},
	OutlierEjectionsDetectedSuccessRate:                   {Name: "ejections_detected_success_rate"},
	OutlierEjectionsEnforcedConsecutive5xx:                {Name: "ejections_enforced_consecutive_5xx"},
	OutlierEjectionsEnforcedConsecutiveGatewayFailure:     {Name: "ejections_enforced_consecutive_gateway_failure"},
	OutlierEjectionsEnforcedConsecutiveLocalOriginFailure: {Name: "ejections_enforced_consecutive_local_origin_failure"},
	OutlierEjectionsEnforcedFailurePercentage:             {Name: "ejections_enforced_failure_percentage"},
	OutlierEjectionsEnforcedLocalOriginFailurePercentage:  {Name: "ejections_enforced_local_origin_failure_percentage"},
	OutlierEjectionsEnforcedLocalOriginSuccessRate:        {Name: "ejections_enforced_local_origin_success_rate"},
	OutlierEjectionsEnforcedSuccessRate:                   {Name: "ejections_enforced_success_rate"},
	OutlierEjectionsEnforcedTotal:                         {Name: "ejections_enforced_total"},
	OutlierEjectionsOverflow:                              {Name: "ejections_overflow"},
	OutlierEjectionsSuccessRate:                           {Name: "ejections_success_rate"},
	OutlierEjectionsTotal:                                 {Name: "ejections_total"},
	OutlierEjectionsActive:                                {Name: "ejections_active", Kind: Gauge},
}...)

// The statistics of HealthCheck.
const (
	HealthCheckAttempt = iota
	HealthCheckFailure
	HealthCheckNetworkFailure
	HealthCheckPassiveFailure
	HealthCheckSuccess
	HealthCheckVerifyCluster
	HealthCheckDegraded
	HealthCheckHealthy
)

// HealthCheck is the schema of "cluster.<name>.health_check.", of clusters that have it.
var HealthCheck = NewSchema([]Def{
	HealthCheckAttempt:        {Name: "attempt"},
	HealthCheckFailure:        {Name: "failure"},
	HealthCheckNetworkFailure: {Name: "network_failure"},
	HealthCheckPassiveFailure: {Name: "passive_failure"},
	HealthCheckSuccess:        {Name: "success"},
	HealthCheckVerifyCluster:  {Name: "verify_cluster"},
	HealthCheckDegraded:       {Name: "degraded", Kind: Gauge, Merge: Max},
	HealthCheckHealthy:        {Name: "healthy", Kind: Gauge, Merge: Max},
}...)

// The statistics of Zone.
const (
	ZoneUpstreamRqStatus = iota
	ZoneUpstreamRqTime
)

// Zone is the schema of "cluster.<name>.zone.<from>.<to>.": of responses that come from the hosts of a zone to a proxy of one.
var Zone = NewSchema([]Def{
	ZoneUpstreamRqStatus: {Name: "upstream_rq_", Kind: StatusCode, Dynamic: true},
	ZoneUpstreamRqTime:   {Name: "upstream_rq_time", Kind: Histogram, Unit: Milliseconds, Dynamic: true},
}...)

// The statistics of RingHash.
const (
	RingHashSize = iota
	RingHashMinHashesPerHost
	RingHashMaxHashesPerHost
)

// RingHash is the schema of "cluster.<name>.ring_hash_lb.".
var RingHash = NewSchema([]Def{
	RingHashSize:             {Name: "size", Kind: Gauge, Merge: Max},
	RingHashMinHashesPerHost: {Name: "min_hashes_per_host", Kind: Gauge, Merge: Max},
	RingHashMaxHashesPerHost: {Name: "max_hashes_per_host", Kind: Gauge, Merge: Max},
}...)

// The statistics of Maglev.
const (
	MaglevMinEntriesPerHost = iota
	MaglevMaxEntriesPerHost
)

// Maglev is the schema of "cluster.<name>.maglev_lb.".
var Maglev = NewSchema([]Def{
	MaglevMinEntriesPerHost: {Name: "min_entries_per_host", Kind: Gauge, Merge: Max},
	MaglevMaxEntriesPerHost: {Name: "max_entries_per_host", Kind: Gauge, Merge: Max},
}...)

// The statistics of Host.
const (
	HostCxConnectFail = iota
	HostCxTotal
	HostRqError
	HostRqSuccess
	HostRqTimeout
	HostRqTotal
	HostCxActive
	HostRqActive
)

// Host is the schema of one host of a cluster, for a hidden scope: /clusters shows it, /stats does not.
var Host = NewSchema([]Def{
	HostCxConnectFail: {Name: "cx_connect_fail"},
	HostCxTotal:       {Name: "cx_total"},
	HostRqError:       {Name: "rq_error"},
	HostRqSuccess:     {Name: "rq_success"},
	HostRqTimeout:     {Name: "rq_timeout"},
	HostRqTotal:       {Name: "rq_total"},
	HostCxActive:      {Name: "cx_active", Kind: Gauge},
	HostRqActive:      {Name: "rq_active", Kind: Gauge},
}...)
