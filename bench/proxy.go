package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

const (
	// readyTimeout bounds the wait for the first answer of a started process.
	readyTimeout = 10 * time.Second
	// readyPoll is the pause between two attempts.
	readyPoll = 20 * time.Millisecond
	// probeTimeout bounds one attempt.
	probeTimeout = 2 * time.Second
	// versionTimeout bounds the question for a program's version.
	versionTimeout = 5 * time.Second
)

// runningProxy is a proxy that has answered.
type runningProxy struct {
	child   *child.Child
	address string
	dir     string
}

// startProxy configures the proxy in dir, starts it and waits until it answers and
// has shown that it does the work asked of it.
func (l *lab) startProxy(ctx context.Context, p Proxy, s Scenario, dir string) (*runningProxy, error) {
	if need := uint64(s.Connections + spareFiles); l.files < need {
		return nil, fmt.Errorf("limit on open files is %d, want at least %d: raise it with ulimit -n", l.files, need)
	}
	at, err := l.ports.addresses(5)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	launch, err := p.Kind.Configure(peer.Spec{
		Listen: at[0], Admin: at[1], GRPC: at[2], Metrics: at[3], Health: at[4],
		Origin: l.origin, MaxConnections: s.Connections, Dir: dir, Root: os.Geteuid() == 0,
	})
	if err != nil {
		return nil, err
	}
	if err := launch.Write(dir); err != nil {
		return nil, err
	}
	c, err := l.spawner.Start(child.Spec{
		Path:        p.Path,
		Args:        launch.Args,
		Env:         launch.Environ(os.Environ()),
		Dir:         dir,
		CPUs:        l.machine.ProxyCPUs,
		DeathSignal: syscall.SIGTERM,
	})
	if err != nil {
		return nil, err
	}
	running := &runningProxy{child: c, address: at[0], dir: dir}
	if err := running.ready(ctx, s); err != nil {
		return nil, errors.Join(err, running.stop())
	}
	return running, nil
}

func (p *runningProxy) ready(ctx context.Context, s Scenario) error {
	if err := awaitAnswer(ctx, p.child, p.address); err != nil {
		return err
	}
	if err := checkWork(p.address); err != nil {
		return err
	}
	status, body, err := load.Probe(p.address, s.Path, probeTimeout)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.Path, err)
	case status != 200 || len(body) != s.Body:
		return fmt.Errorf("%s: status %d with %d bytes, want 200 with %d", s.Path, status, len(body), s.Body)
	}
	return nil
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

// awaitAnswer returns when the process has answered a request with 200. It fails
// when the process ends or readyTimeout passes first.
func awaitAnswer(ctx context.Context, c *child.Child, address string) error {
	deadline := time.NewTimer(readyTimeout)
	defer deadline.Stop()
	for {
		status, _, err := load.Probe(address, "/16", probeTimeout)
		if err == nil && status == 200 {
			return nil
		}
		last := fmt.Sprintf("status %d", status)
		if err != nil {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.Done():
			return c.Failure(fmt.Sprintf("ended before it answered: %v", c.Err()))
		case <-deadline.C:
			return c.Failure(fmt.Sprintf("no answer with status 200 on %s within %v, last: %s", address, readyTimeout, last))
		case <-time.After(readyPoll):
		}
	}
}

// addedHeaders are what every proxy adds to a request, once.
func addedHeaders() []string {
	return []string{"x-forwarded-for", "x-forwarded-proto", "x-request-id"}
}

// checkWork has the origin show the header section it gets, and fails unless the
// proxy does the work that all are compared in.
func checkWork(address string) error {
	status, section, err := load.Probe(address, "/headers", probeTimeout)
	if err != nil {
		return fmt.Errorf("/headers: %w", err)
	}
	if status != 200 {
		return fmt.Errorf("/headers: status %d, want 200", status)
	}
	section = append([]byte("\n"), bytes.ToLower(section)...)
	for _, name := range addedHeaders() {
		if n := bytes.Count(section, []byte("\n"+name+":")); n != 1 {
			return fmt.Errorf("request to the origin has %d %s headers, want 1; it is%s", n, name, section)
		}
	}
	return nil
}

// version returns the first line with which the program states its version.
func (l *lab) version(ctx context.Context, p Proxy) string {
	const unknown = "version unknown"
	c, err := l.spawner.Start(child.Spec{Path: p.Path, Args: p.Kind.VersionArgs, CPUs: l.machine.LoadCPUs})
	if err != nil {
		return unknown
	}
	if err := c.Wait(ctx, versionTimeout); err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(strings.TrimSpace(c.Tail()), "\n")
	if line == "" {
		return unknown
	}
	return line
}
