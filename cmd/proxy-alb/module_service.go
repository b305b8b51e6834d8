package main

import (
	"google.golang.org/grpc/credentials"

	"github.com/penguintechinc/marchproxy-alb/moduleservice"
)

// serviceOptions connects ModuleService to the process.
func (p *process) serviceOptions() moduleservice.Options {
	var secured credentials.TransportCredentials
	if p.grpcTLS != nil {
		secured = credentials.NewTLS(p.grpcTLS.Config())
	}
	env, b := p.settings.env, p.settings.bootstrap
	return moduleservice.Options{
		ModuleID:         env.moduleID,
		Version:          env.moduleVersion,
		EnvoyAPIVersion:  envoyAPI,
		XDSServer:        p.manager.State().ControlPlane,
		AdminPort:        int(b.Admin.Port),
		ListenPort:       env.listenPort,
		Store:            p.server.Store(),
		Stats:            p.stats,
		Window:           p.window,
		StartTime:        p.started,
		MaxConnectionAge: env.maxConnectionAge,
		Credentials:      secured,
		Healthy: func() (bool, string) {
			state, reason := p.state()
			return state == stateLive, reason
		},
		Reload: p.reload,
		Logger: p.log.Named("moduleservice"),
	}
}
