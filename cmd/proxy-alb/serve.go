package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/layeredruntime"
	"github.com/penguintechinc/marchproxy-alb/proxy"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/als"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/file"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/tls"
	"github.com/penguintechinc/marchproxy-alb/xds"
)

const (
	// controlProcs is how many of Go's processors are there beside one per worker, for the control plane. It must not be
	// 0: a worker keeps its own over brief waits, and the rest of the process would wait with it.
	controlProcs = 1
)

// process is a running proxy-alb: the data plane, what configures it, and its faces.
type process struct {
	settings *settings
	started  time.Time
	log      *zap.Logger
	level    zap.AtomicLevel
	logFile  *logFile
	stats    *stats.Store
	window   *stats.Window
	server   *proxy.Server
	// accessLogs are the files of access logs of traffic.
	accessLogs *file.Files
	runtime    *layeredruntime.Loader
	manager    *xds.Manager
	health     health
	faces      faces
	grpcTLS    *faceTLS // of ModuleService
	adminTLS   *faceTLS

	reloading sync.Mutex // keeps reloads apart

	quit     chan struct{} // closed when the process is asked to end
	quitOnce sync.Once
}

// serve runs until a signal or the admin interface ends it.
func serve(set *settings) error {
	p := &process{settings: set, started: time.Now(), quit: make(chan struct{})}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	if err := p.prepare(); err != nil {
		return err
	}
	if set.flags.mode == modeInitOnly {
		p.server.Close()
		p.accessLogs.Close()
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { p.manager.Run(ctx) })
	background.Go(func() { p.runtime.Run(ctx) })
	background.Go(func() { p.flushStats(ctx) })
	background.Go(func() { p.becomeReady(ctx) })
	background.Go(func() { p.watchTLS(ctx) })
	p.faces.serve()
	p.log.Info("serving", zap.String("version", versionLine()), zap.String("configuration", set.source),
		zap.Int("workers", p.server.Workers()))
	p.untilQuit(signals)
	p.shutDown()
	cancel()
	background.Wait()
	return nil
}

// prepare makes everything that can fail at start. Nothing stays open when it fails: the process ends.
func (p *process) prepare() error {
	if err := p.startLog(); err != nil {
		return err
	}
	if err := p.openTLS(); err != nil {
		return err
	}
	p.stats = stats.NewStore(p.settings.stats)
	p.window = p.stats.NewWindow(isRequestTime)
	workers := p.workers()
	p.registerServerStats(workers)
	runtime.GOMAXPROCS(workers + controlProcs)
	if p.settings.flags.mutexTracing {
		runtime.SetMutexProfileFraction(1)
	}
	hostname, err := os.Hostname()
	if err != nil {
		p.log.Warn("host name is not known", zap.Error(err))
	}
	p.accessLogs = file.New(file.Options{
		Workers: workers, FlushInterval: time.Duration(p.settings.flags.fileFlushInterval) * time.Millisecond,
		FlushBytes: int(p.settings.flags.fileFlushMinSize) << 10,
		Stats:      p.stats.Scope("filesystem.", stats.Filesystem), Logger: p.log.Named("access_log"),
	})
	p.server, err = proxy.NewServer(proxy.Options{
		Workers: workers, Logger: p.log, Stats: p.stats, Hostname: hostname, ServiceCluster: p.settings.bootstrap.Node.GetCluster(),
		MaxConnections: p.settings.bootstrap.MaxConnections,
		Bind:           p.settings.bootstrap.Bind,
		LocalCluster:   p.settings.bootstrap.LocalCluster, Locality: p.settings.bootstrap.Locality(),
		// Without any time there is still a moment: 0 is the default there.
		DrainTime:        max(time.Duration(p.settings.flags.drainTime)*time.Second, time.Nanosecond),
		LocalAddress:     localAddress(p.settings.flags.addressVersion == "v6"),
		NoAcceptSteering: p.settings.env.noAcceptSteering,
		OpenAccessLog:    p.openAccessLog,
		OpenEventLog:     func(path string) (proxy.EventLog, error) { return p.accessLogs.OpenLines(path) },
	})
	if err != nil {
		return err
	}
	p.runtime, err = layeredruntime.New(p.settings.bootstrap.Runtime, layeredruntime.Options{
		Stats: p.stats, Logger: p.log.Named("runtime"), ServiceCluster: p.settings.bootstrap.Node.GetCluster(),
		Publish: func(r *config.Runtime) error {
			return p.server.Store().Apply(config.SourceRuntime, config.Delta{Runtime: r})
		},
	})
	if err != nil {
		return err
	}
	p.manager, err = xds.New(xds.Options{
		Bootstrap: p.settings.bootstrap, Store: p.server.Store(), Logger: p.log.Named("xds"), Runtime: p.runtime.SetRTDS,
		CheckSecret:   func(s *config.Secret) error { return tls.CheckSecret(s, time.Now) },
		WaitWarm:      p.server.WaitWarm,
		Draining:      p.server.Draining,
		Take:          newCollector().take,
		Outbound:      p.server.Outbound,
		GoogleGRPC:    func(prefix string) *stats.Scope { return p.stats.Scope("grpc."+prefix+".", stats.GoogleGRPC) },
		UnknownFields: p.settings.flags.unknownDynamicFields(),
	})
	if err != nil {
		return err
	}
	if err := p.openFaces(); err != nil {
		return err
	}
	return p.manager.Static()
}

func (p *process) startLog() (err error) {
	level, err := parseLevel(p.settings.logLevel())
	if err != nil {
		return err
	}
	p.level = zap.NewAtomicLevelAt(level)
	if p.logFile, err = openLog(p.settings.flags.logPath); err != nil {
		return err
	}
	p.log = newLogger(p.logFile, p.level)
	for _, note := range p.settings.notes {
		p.log.Warn(note, zap.String("configuration", p.settings.source))
	}
	return nil
}

// workers returns how many worker threads there are to be. By default it is what the affinity mask and the quota of the
// cgroup allow, which the Go runtime knows until it is told otherwise.
func (p *process) workers() int {
	if !p.settings.flags.concurrencySet {
		return min(runtime.GOMAXPROCS(0), proxy.MaxWorkers)
	}
	return max(p.settings.flags.concurrency, 1)
}

// becomeReady waits for the first configuration and then lets /ready say so.
func (p *process) becomeReady(ctx context.Context) {
	select {
	case <-p.manager.Initialized():
	case <-ctx.Done():
		return
	}
	p.health.initialized()
	p.log.Info("ready", zap.Duration("after", time.Since(p.started)))
}

// flushStats closes an interval of the histograms from time to time.
func (p *process) flushStats(ctx context.Context) {
	ticker := time.NewTicker(stats.FlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.stats.Flush()
		case <-ctx.Done():
			return
		}
	}
}

// untilQuit handles signals until one of them, or somebody else, ends the process.
func (p *process) untilQuit(signals <-chan os.Signal) {
	for {
		select {
		case <-p.quit:
			return
		case s := <-signals:
			p.log.Info("signal", zap.Stringer("signal", s))
			switch s {
			case syscall.SIGHUP:
				if err := p.reload(context.Background(), false); err != nil {
					p.log.Error("reload changed nothing", zap.Error(err))
				}
			case syscall.SIGUSR1:
				_ = p.reopenLogs() // it logs
			default:
				return
			}
		}
	}
}

// requestQuit ends the process as a signal would.
func (p *process) requestQuit() { p.quitOnce.Do(func() { close(p.quit) }) }

// reopenLogs opens the log of the process and the access logs again by their names.
func (p *process) reopenLogs() error {
	err := errors.Join(p.logFile.reopen(), p.accessLogs.Reopen())
	if err != nil {
		p.log.Error("log could not be opened again", zap.Error(err))
	}
	return err
}

// reload reads the bootstrap and the files of TLS again and replaces what came from them before, all or nothing. With force the
// stream to the control plane begins anew as well. Connections stay.
func (p *process) reload(_ context.Context, force bool) error {
	p.reloading.Lock()
	defer p.reloading.Unlock()
	next := &settings{flags: p.settings.flags, env: p.settings.env, getenv: p.settings.getenv}
	if err := next.load(); err != nil {
		return err
	}
	installTLS, err := p.stageTLS()
	if err != nil {
		return err
	}
	if err := p.manager.ReloadFile(next.bootstrap); err != nil {
		return fmt.Errorf("%s: %w", next.source, err)
	}
	installTLS()
	_ = p.reopenLogs() // it logs
	if force {
		p.manager.RestartStream()
	}
	p.log.Info("configuration reloaded", zap.String("configuration", next.source), zap.Bool("force", force))
	return nil
}

// shutDown ends in the order that loses nothing: not ready, no new connections, the rest as they finish, then the faces.
func (p *process) shutDown() {
	p.health.drain()
	ctx, cancel := context.WithTimeout(context.Background(), p.settings.env.shutdownTimeout)
	defer cancel()
	if err := p.server.Drain(ctx); err != nil {
		p.log.Warn("connections were cut at the shutdown timeout", zap.Error(err))
	}
	p.faces.close()
	p.runtime.Close()
	p.server.Close()
	p.accessLogs.Close()
	p.log.Info("ended")
}

// openAccessLog opens an access log of traffic.
func (p *process) openAccessLog(cfg *config.AccessLog, server func() accesslog.Server) (accesslog.Logger, error) {
	if cfg.File != nil {
		return p.accessLogs.Open(cfg.File)
	}
	return als.New(cfg.GRPC, als.Options{
		Node: p.settings.bootstrap.Node, Server: server, Logger: p.log.Named("access_log"),
		Written: p.stats.Counter("access_logs.grpc_access_log.logs_written"),
		Dropped: p.stats.Counter("access_logs.grpc_access_log.logs_dropped"),
	}), nil
}
