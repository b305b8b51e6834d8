package main

import (
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// commandLine is the command line as /server_info shows it. The level is the one that the log has at the start.
func (f *flags) commandLine(workers int, level string) *adminv3.CommandLineOptions {
	mode := adminv3.CommandLineOptions_Serve
	switch f.mode {
	case modeValidate:
		mode = adminv3.CommandLineOptions_Validate
	case modeInitOnly:
		mode = adminv3.CommandLineOptions_InitOnly
	}
	version := adminv3.CommandLineOptions_v4
	if f.addressVersion == "v6" {
		version = adminv3.CommandLineOptions_v6
	}
	strategy := adminv3.CommandLineOptions_Gradual
	if f.drainStrategy == drainImmediate {
		strategy = adminv3.CommandLineOptions_Immediate
	}
	var disabled []string
	if f.disabledExtensions != "" {
		disabled = strings.Split(f.disabledExtensions, ",")
	}
	permissions, _ := f.socketPermissions() // was checked
	return &adminv3.CommandLineOptions{
		BaseId:                     uint64(f.baseID),
		UseDynamicBaseId:           f.useDynamicBaseID,
		SkipHotRestartOnNoParent:   f.skipNoParent,
		SkipHotRestartParentStats:  f.skipParentStats,
		BaseIdPath:                 f.baseIDPath,
		Concurrency:                uint32(workers),
		ConfigPath:                 f.configPath,
		ConfigYaml:                 f.configYAML,
		AllowUnknownStaticFields:   f.allowUnknown,
		RejectUnknownDynamicFields: f.rejectUnknown,
		IgnoreUnknownDynamicFields: f.ignoreUnknown,
		SkipDeprecatedLogs:         f.skipDeprecatedLogs,
		AdminAddressPath:           f.adminAddressPath,
		LocalAddressIpVersion:      version,
		LogLevel:                   level,
		ComponentLogLevel:          f.componentLogLevel,
		LogFormat:                  f.logFormat,
		LogFormatEscaped:           f.logFormatEscaped,
		LogPath:                    f.logPath,
		ServiceCluster:             f.cluster,
		ServiceNode:                f.node,
		ServiceZone:                f.zone,
		FileFlushInterval:          durationpb.New(time.Duration(f.fileFlushInterval) * time.Millisecond),
		FileFlushMinSize:           f.fileFlushMinSize,
		DrainTime:                  durationpb.New(time.Duration(f.drainTime) * time.Second),
		DrainStrategy:              strategy,
		ParentShutdownTime:         durationpb.New(time.Duration(f.parentShutdownTime) * time.Second),
		Mode:                       mode,
		DisableHotRestart:          f.disableHotRestart,
		EnableMutexTracing:         f.mutexTracing,
		RestartEpoch:               f.restartEpoch,
		CpusetThreads:              f.cpusetThreads,
		DisabledExtensions:         disabled,
		EnableFineGrainLogging:     f.fineGrainLogging,
		LogStacktraceSingleEntry:   f.stacktraceSingleEntry,
		SocketPath:                 f.socketPath,
		SocketMode:                 permissions,
		EnableCoreDump:             f.coreDump,
		StatsTag:                   f.statsTags,
	}
}
