package stats

// The statistics of Server.
const (
	ServerDebugAssertionFailures = iota
	ServerDynamicUnknownFields
	ServerEnvoyBugFailures
	ServerStaticUnknownFields
	ServerWipProtos
	ServerWatchdogMegaMiss
	ServerWatchdogMiss
	ServerDroppedStatFlushes
	ServerCompilationSettingsFIPSMode
	ServerConcurrency
	ServerDaysUntilFirstCertExpiring
	ServerHotRestartEpoch
	ServerHotRestartGeneration
	ServerLive
	ServerMemoryAllocated
	ServerMemoryHeapSize
	ServerMemoryPhysicalSize
	ServerParentConnections
	ServerSecondsUntilFirstOCSPResponseExpiring
	ServerState
	ServerStatsRecentLookups
	ServerTotalConnections
	ServerUptime
	ServerVersion
	ServerInitializationTimeMs
)

// Server is the schema of "server.". A value that is computed when somebody reads is given by Store.GaugeFunc of the full name,
// which adds to the zero here.
var Server = NewSchema([]Def{
	ServerDebugAssertionFailures:                {Name: "debug_assertion_failures"},
	ServerDynamicUnknownFields:                  {Name: "dynamic_unknown_fields"},
	ServerEnvoyBugFailures:                      {Name: "envoy_bug_failures"},
	ServerStaticUnknownFields:                   {Name: "static_unknown_fields"},
	ServerWipProtos:                             {Name: "wip_protos"},
	ServerWatchdogMegaMiss:                      {Name: "watchdog_mega_miss"},
	ServerWatchdogMiss:                          {Name: "watchdog_miss"},
	ServerDroppedStatFlushes:                    {Name: "dropped_stat_flushes"},
	ServerCompilationSettingsFIPSMode:           {Name: "compilation_settings.fips_mode", Kind: Gauge},
	ServerConcurrency:                           {Name: "concurrency", Kind: Gauge},
	ServerDaysUntilFirstCertExpiring:            {Name: "days_until_first_cert_expiring", Kind: Gauge},
	ServerHotRestartEpoch:                       {Name: "hot_restart_epoch", Kind: Gauge},
	ServerHotRestartGeneration:                  {Name: "hot_restart_generation", Kind: Gauge},
	ServerLive:                                  {Name: "live", Kind: Gauge},
	ServerMemoryAllocated:                       {Name: "memory_allocated", Kind: Gauge},
	ServerMemoryHeapSize:                        {Name: "memory_heap_size", Kind: Gauge},
	ServerMemoryPhysicalSize:                    {Name: "memory_physical_size", Kind: Gauge},
	ServerParentConnections:                     {Name: "parent_connections", Kind: Gauge},
	ServerSecondsUntilFirstOCSPResponseExpiring: {Name: "seconds_until_first_ocsp_response_expiring", Kind: Gauge},
	ServerState:                                 {Name: "state", Kind: Gauge},
	ServerStatsRecentLookups:                    {Name: "stats_recent_lookups", Kind: Gauge},
	ServerTotalConnections:                      {Name: "total_connections", Kind: Gauge},
	ServerUptime:                                {Name: "uptime", Kind: Gauge},
	ServerVersion:                               {Name: "version", Kind: Gauge},
	ServerInitializationTimeMs:                  {Name: "initialization_time_ms", Kind: Histogram, Unit: Milliseconds},
}...)

// The statistics of Runtime.
const (
	RuntimeDeprecatedFeatureUse = iota
	RuntimeLoadError
	RuntimeLoadSuccess
	RuntimeOverrideDirExists
	RuntimeOverrideDirNotExists
	RuntimeAdminOverridesActive
	RuntimeDeprecatedFeatureSeenSinceProcessStart
	RuntimeNumKeys
	RuntimeNumLayers
)

// Runtime is the schema of "runtime.".
var Runtime = NewSchema([]Def{
	RuntimeDeprecatedFeatureUse:                   {Name: "deprecated_feature_use"},
	RuntimeLoadError:                              {Name: "load_error"},
	RuntimeLoadSuccess:                            {Name: "load_success"},
	RuntimeOverrideDirExists:                      {Name: "override_dir_exists"},
	RuntimeOverrideDirNotExists:                   {Name: "override_dir_not_exists"},
	RuntimeAdminOverridesActive:                   {Name: "admin_overrides_active", Kind: Gauge},
	RuntimeDeprecatedFeatureSeenSinceProcessStart: {Name: "deprecated_feature_seen_since_process_start", Kind: Gauge},
	RuntimeNumKeys:                                {Name: "num_keys", Kind: Gauge},
	RuntimeNumLayers:                              {Name: "num_layers", Kind: Gauge},
}...)

// The statistics of Filesystem.
const (
	FilesystemFlushedByTimer = iota
	FilesystemReopenFailed
	FilesystemWriteBuffered
	FilesystemWriteCompleted
	FilesystemWriteFailed
	FilesystemWriteTotalBuffered
)

// Filesystem is the schema of "filesystem.": access log files.
var Filesystem = NewSchema([]Def{
	FilesystemFlushedByTimer:     {Name: "flushed_by_timer"},
	FilesystemReopenFailed:       {Name: "reopen_failed"},
	FilesystemWriteBuffered:      {Name: "write_buffered"},
	FilesystemWriteCompleted:     {Name: "write_completed"},
	FilesystemWriteFailed:        {Name: "write_failed"},
	FilesystemWriteTotalBuffered: {Name: "write_total_buffered", Kind: Gauge},
}...)

// The statistics of Watchdog.
const (
	WatchdogMegaMiss = iota
	WatchdogMiss
)

// Watchdog is the schema of "main_thread." and "workers.".
var Watchdog = NewSchema([]Def{
	WatchdogMegaMiss: {Name: "watchdog_mega_miss"},
	WatchdogMiss:     {Name: "watchdog_miss"},
}...)

// The statistics of ListenerManager.
const (
	ListenerManagerListenerAdded = iota
	ListenerManagerListenerCreateFailure
	ListenerManagerListenerCreateSuccess
	ListenerManagerListenerInPlaceUpdated
	ListenerManagerListenerModified
	ListenerManagerListenerRemoved
	ListenerManagerListenerStopped
	ListenerManagerTotalFilterChainsDraining
	ListenerManagerTotalListenersActive
	ListenerManagerTotalListenersDraining
	ListenerManagerTotalListenersWarming
	ListenerManagerWorkersStarted
)

// ListenerManager is the schema of "listener_manager.".
var ListenerManager = NewSchema([]Def{
	ListenerManagerListenerAdded:             {Name: "listener_added"},
	ListenerManagerListenerCreateFailure:     {Name: "listener_create_failure"},
	ListenerManagerListenerCreateSuccess:     {Name: "listener_create_success"},
	ListenerManagerListenerInPlaceUpdated:    {Name: "listener_in_place_updated"},
	ListenerManagerListenerModified:          {Name: "listener_modified"},
	ListenerManagerListenerRemoved:           {Name: "listener_removed"},
	ListenerManagerListenerStopped:           {Name: "listener_stopped"},
	ListenerManagerTotalFilterChainsDraining: {Name: "total_filter_chains_draining", Kind: Gauge},
	ListenerManagerTotalListenersActive:      {Name: "total_listeners_active", Kind: Gauge},
	ListenerManagerTotalListenersDraining:    {Name: "total_listeners_draining", Kind: Gauge},
	ListenerManagerTotalListenersWarming:     {Name: "total_listeners_warming", Kind: Gauge},
	ListenerManagerWorkersStarted:            {Name: "workers_started", Kind: Gauge},
}...)

// The statistics of ClusterManager.
const (
	ClusterManagerClusterAdded = iota
	ClusterManagerClusterModified
	ClusterManagerClusterRemoved
	ClusterManagerClusterUpdated
	ClusterManagerClusterUpdatedViaMerge
	ClusterManagerUpdateMergeCancelled
	ClusterManagerUpdateOutOfMergeWindow
	ClusterManagerActiveClusters
	ClusterManagerWarmingClusters
)

// ClusterManager is the schema of "cluster_manager.".
var ClusterManager = NewSchema([]Def{
	ClusterManagerClusterAdded:           {Name: "cluster_added"},
	ClusterManagerClusterModified:        {Name: "cluster_modified"},
	ClusterManagerClusterRemoved:         {Name: "cluster_removed"},
	ClusterManagerClusterUpdated:         {Name: "cluster_updated"},
	ClusterManagerClusterUpdatedViaMerge: {Name: "cluster_updated_via_merge"},
	ClusterManagerUpdateMergeCancelled:   {Name: "update_merge_cancelled"},
	ClusterManagerUpdateOutOfMergeWindow: {Name: "update_out_of_merge_window"},
	ClusterManagerActiveClusters:         {Name: "active_clusters", Kind: Gauge},
	ClusterManagerWarmingClusters:        {Name: "warming_clusters", Kind: Gauge},
}...)

// The statistics of Subscription.
const (
	SubscriptionConfigReload = iota
	SubscriptionInitFetchTimeout
	SubscriptionUpdateAttempt
	SubscriptionUpdateFailure
	SubscriptionUpdateRejected
	SubscriptionUpdateSuccess
	SubscriptionUpdateTime
	SubscriptionVersion
	SubscriptionConfigReloadTimeMs
	SubscriptionUpdateDuration
)

// Subscription is the schema of an xDS subscription: "cluster_manager.cds.", "listener_manager.lds.",
// "http.<stat_prefix>.rds.<route configuration>.", "sds.<secret>.". That of endpoints is part of Cluster.
var Subscription = NewSchema([]Def{
	SubscriptionConfigReload:       {Name: "config_reload"},
	SubscriptionInitFetchTimeout:   {Name: "init_fetch_timeout"},
	SubscriptionUpdateAttempt:      {Name: "update_attempt"},
	SubscriptionUpdateFailure:      {Name: "update_failure"},
	SubscriptionUpdateRejected:     {Name: "update_rejected"},
	SubscriptionUpdateSuccess:      {Name: "update_success"},
	SubscriptionUpdateTime:         {Name: "update_time", Kind: Gauge},
	SubscriptionVersion:            {Name: "version", Kind: Gauge},
	SubscriptionConfigReloadTimeMs: {Name: "config_reload_time_ms", Kind: Gauge},
	SubscriptionUpdateDuration:     {Name: "update_duration", Kind: Histogram, Unit: Milliseconds},
}...)

// The statistics of ControlPlane.
const (
	ControlPlaneRateLimitEnforced = iota
	ControlPlaneConnectedState
	ControlPlanePendingRequests
)

// ControlPlane is the schema of "control_plane.".
var ControlPlane = NewSchema([]Def{
	ControlPlaneRateLimitEnforced: {Name: "rate_limit_enforced"},
	ControlPlaneConnectedState:    {Name: "connected_state", Kind: Gauge},
	ControlPlanePendingRequests:   {Name: "pending_requests", Kind: Gauge},
}...)
