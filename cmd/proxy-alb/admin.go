package main

import (
	"context"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/admin"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

// states are Envoy's server states by name.
var states = map[string]adminv3.ServerInfo_State{
	stateLive:            adminv3.ServerInfo_LIVE,
	stateDraining:        adminv3.ServerInfo_DRAINING,
	statePreInitializing: adminv3.ServerInfo_PRE_INITIALIZING,
	stateInitializing:    adminv3.ServerInfo_INITIALIZING,
}

// adminOptions connects the HTTP faces to the process.
func (p *process) adminOptions() admin.Options {
	return admin.Options{
		Stats:  p.stats,
		Window: p.window,
		State: func() (adminv3.ServerInfo_State, string) {
			state, reason := p.state()
			return states[state], reason
		},
		Alive:     p.server.Alive,
		Clusters:  p.server.Clusters,
		Listeners: p.server.Listeners,
		ConfigDump: func(includeEDS bool) (*adminv3.ConfigDump, error) {
			return p.manager.ConfigDump(xds.DumpOptions{IncludeEDS: includeEDS})
		},
		Certificates: p.certificates,
		Runtime:      p.runtime,
		Info: admin.Info{
			Version:     serverVersion(),
			Node:        p.settings.bootstrap.Node,
			CommandLine: p.settings.flags.commandLine(p.server.Workers()),
			Start:       p.started,
		},
		Level:            &p.level,
		Quit:             p.requestQuit,
		Drain:            p.drainListeners,
		FailHealthChecks: p.health.failed.Store,
		ReopenLogs:       p.logFile.reopen,
		Logger:           p.log.Named("admin"),
	}
}

// drainListeners answers /drain_listeners: listening stops, connections close as they become idle. With skip_exit the
// listeners stay, and only /ready tells clients to go elsewhere.
func (p *process) drainListeners(d admin.Drain) {
	p.log.Info("draining listeners", zap.Bool("graceful", d.Graceful), zap.Bool("skip_exit", d.SkipExit))
	if d.SkipExit {
		p.health.failed.Store(true)
		return
	}
	if !d.Graceful {
		p.server.StopListening()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.settings.env.shutdownTimeout)
	go func() {
		defer cancel()
		if err := p.server.Drain(ctx); err != nil {
			p.log.Warn("drain ended early", zap.Error(err))
		}
	}()
}

// commandLine is the command line as /server_info shows it.
func (f *flags) commandLine(workers int) *adminv3.CommandLineOptions {
	text := func(name, byDefault string) string {
		if v, ok := f.all[name]; ok {
			return v
		}
		return byDefault
	}
	mode := adminv3.CommandLineOptions_Serve
	switch f.mode {
	case modeValidate:
		mode = adminv3.CommandLineOptions_Validate
	case modeInitOnly:
		mode = adminv3.CommandLineOptions_InitOnly
	}
	return &adminv3.CommandLineOptions{
		Concurrency:              uint32(workers),
		ConfigPath:               f.configPath,
		ConfigYaml:               f.configYAML,
		AllowUnknownStaticFields: f.allowUnknown,
		AdminAddressPath:         f.adminAddressPath,
		LogLevel:                 text("log-level", "info"),
		ComponentLogLevel:        f.componentLogLevel,
		LogPath:                  f.logPath,
		ServiceCluster:           f.cluster,
		ServiceNode:              f.node,
		ServiceZone:              f.zone,
		Mode:                     mode,
		DisableHotRestart:        f.given("disable-hot-restart"),
		FileFlushInterval:        durationpb.New(10 * time.Second),
		DrainTime:                durationpb.New(600 * time.Second),
		ParentShutdownTime:       durationpb.New(900 * time.Second),
	}
}
