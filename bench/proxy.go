package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

const (
	// readyTimeout bounds the wait for the first answer of a started process: with 10,000 clusters some take a while.
	readyTimeout = time.Minute
	// readyPoll is the pause between two attempts: what a start takes is known to that.
	readyPoll = 2 * time.Millisecond
	// probeTimeout bounds one attempt.
	probeTimeout = 2 * time.Second
	// versionTimeout bounds the question for a program's version.
	versionTimeout = 5 * time.Second
)

// runningProxy is a proxy that has answered.
type runningProxy struct {
	child   *child.Child
	address string
	grpc    string // address of its ModuleService, where it has one
	dir     string
	answer  load.Answer // the first, to the scenario's question
	startup time.Duration
}

// proxyAddresses is how many addresses a proxy gets: the listener's first.
const proxyAddresses = 5

// startProxy configures the proxy with the origin in a directory of its own, starts it
// and waits until it answers.
func (l *lab) startProxy(ctx context.Context, p Proxy, s Scenario, origin string) (*runningProxy, error) {
	at, err := l.ports.addresses(proxyAddresses)
	if err != nil {
		return nil, err
	}
	return l.startProxyAt(ctx, p, s, at, origin, "")
}

// startProxyAt is startProxy on given addresses, with the address of a control plane for
// traffic that has one.
func (l *lab) startProxyAt(ctx context.Context, p Proxy, s Scenario, at []string, origin, controlPlane string) (*runningProxy, error) {
	if need := uint64(s.Connections + spareFiles); l.files < need {
		return nil, fmt.Errorf("limit on open files is %d, want at least %d: raise it with ulimit -n", l.files, need)
	}
	dir, err := os.MkdirTemp(l.dir, p.label()+"-")
	if err != nil {
		return nil, err
	}
	module, _ := p.Kind.Module(p.Path, s.Traffic)
	launch, err := p.Kind.Configure(peer.Spec{
		Listen: at[0], Admin: at[1], GRPC: at[2], Metrics: at[3], Health: at[4],
		Origin: origin, ControlPlane: controlPlane, Traffic: s.Traffic, MaxConnections: max(s.Connections, loadConnections), MaxRequests: s.inFlight(),
		Certificate: l.certificate, Key: l.certificate + keySuffix,
		Workers: s.Workers, Module: module, Dir: dir, Root: os.Geteuid() == 0,
	})
	if err != nil {
		return nil, err
	}
	if err := launch.Write(dir); err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := l.spawner.Start(child.Spec{
		Path:        p.Path,
		Args:        launch.Args,
		Env:         launch.Environ(os.Environ()),
		Dir:         dir,
		CPUs:        l.proxyCPUs(s),
		DeathSignal: syscall.SIGTERM,
	})
	if err != nil {
		return nil, err
	}
	running := &runningProxy{child: c, address: at[0], grpc: at[2], dir: dir}
	if running.answer, err = awaitAnswer(ctx, c, s.question(at[0])); err != nil {
		return nil, errors.Join(err, running.stop())
	}
	running.startup = time.Since(began)
	for _, made := range launch.Calls {
		if err := call(ctx, c, at[2], made); err != nil {
			return nil, errors.Join(err, running.stop())
		}
	}
	return running, nil
}

// stop ends the proxy and removes its files.
func (p *runningProxy) stop() error {
	return errors.Join(p.child.Stop(), os.RemoveAll(p.dir))
}

func (p *runningProxy) tree() ([]int, error) {
	pids, err := proc.FS{}.Tree(p.child.PID())
	if err != nil {
		return nil, err
	}
	if len(pids) == 0 {
		return nil, p.child.Failure("ended during the measurement")
	}
	return pids, nil
}

func (p *runningProxy) sampleCPU() (proc.CPUSample, error) {
	pids, err := p.tree()
	if err != nil {
		return proc.CPUSample{}, err
	}
	return proc.FS{}.SampleCPU(pids)
}

func (p *runningProxy) rss() (int64, error) {
	pids, err := p.tree()
	if err != nil {
		return 0, err
	}
	return proc.FS{}.RSS(pids)
}

func (p *runningProxy) resetPeak() error {
	pids, err := p.tree()
	if err != nil {
		return err
	}
	return proc.FS{}.ResetPeak(pids)
}

func (p *runningProxy) peak() (int64, error) {
	pids, err := p.tree()
	if err != nil {
		return 0, err
	}
	return proc.FS{}.Peak(pids)
}

// awaitAnswer returns the first answer of the process with status 200. It fails when
// the process ends or readyTimeout passes first.
func awaitAnswer(ctx context.Context, c *child.Child, q load.Question) (load.Answer, error) {
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	for {
		answer, err := load.Probe(ctx, q, probeTimeout)
		if err == nil && answer.Status == 200 {
			return answer, nil
		}
		last := fmt.Sprintf("status %d", answer.Status)
		if err != nil {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return load.Answer{}, ctx.Err()
		case <-c.Done():
			return load.Answer{}, c.Failure(fmt.Sprintf("ended before it answered: %v", c.Err()))
		case <-deadline.C:
			return load.Answer{}, c.Failure(fmt.Sprintf("no answer with status 200 on %s within %v, last: %s", q.Address, readyTimeout, last))
		case <-time.After(readyPoll):
		}
	}
}
