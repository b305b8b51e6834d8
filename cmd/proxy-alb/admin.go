package main

import (
	"slices"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/admin"
	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy"
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
		Unready:      p.unready,
		AllowPaths:   allowPaths(p.settings.bootstrap.AllowPaths),
		ReadOnly:     p.settings.env.adminReadOnly,
		ProfilePath:  p.settings.bootstrap.ProfilePath,
		MutexTracing: p.settings.flags.mutexTracing,
		Certificates: p.certificates,
		Runtime:      p.runtime,
		Info: admin.Info{
			Version:     serverVersion(),
			Node:        p.settings.bootstrap.Node,
			CommandLine: p.settings.flags.commandLine(p.server.Workers(), p.settings.logLevel()),
			Start:       p.started,
		},
		Level:            &p.level,
		Quit:             p.requestQuit,
		Drain:            p.drainListeners,
		FailHealthChecks: p.failHealthChecks,
		ReopenLogs:       p.reopenLogs,
		Logger:           p.log.Named("admin"),
	}
}

// drainListeners answers /drain_listeners.
func (p *process) drainListeners(d admin.Drain) {
	p.log.Info("draining listeners", zap.Bool("graceful", d.Graceful), zap.Bool("skip_exit", d.SkipExit),
		zap.Bool("inboundonly", d.InboundOnly))
	switch {
	case d.Graceful:
		p.server.DrainGracefully(proxy.DrainOptions{
			Immediate: p.settings.flags.drainStrategy == drainImmediate, InboundOnly: d.InboundOnly, KeepListening: d.SkipExit,
		})
	case d.InboundOnly:
		p.server.StopInbound()
	default:
		p.server.StopListening()
	}
}

// unready is what waits for other resources.
func (p *process) unready() []admin.Unready {
	var all []admin.Unready
	for _, u := range p.manager.Unready() {
		all = append(all, admin.Unready(u))
	}
	return all
}

// allowPaths tells whether one of the patterns matches a path, nil where there are none.
func allowPaths(patterns []config.StringMatcher) func(path string) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(path string) bool {
		return slices.ContainsFunc(patterns, func(p config.StringMatcher) bool { return p.Matches(path) })
	}
}
