package child

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// Spawner starts processes from one thread that lives as long as the Spawner.
// Both kernel features behind it belong to threads: the parent-death signal is
// sent when the thread that forked ends (prctl(2), PR_SET_PDEATHSIG), and a new
// process inherits the CPU affinity of the thread that forked.
type Spawner struct {
	requests chan request
	ended    chan struct{}
	close    sync.Once
}

type request struct {
	spec  Spec
	reply chan<- started
}

type started struct {
	child *Child
	err   error
}

var errClosed = errors.New("start process: spawner is closed")

// NewSpawner starts the thread. Close ends it.
func NewSpawner() *Spawner {
	s := &Spawner{requests: make(chan request), ended: make(chan struct{})}
	go s.run()
	return s
}

// Close ends the thread, whereupon the kernel sends the death signal to every
// process that still runs. Stop them first for an orderly end.
func (s *Spawner) Close() {
	s.close.Do(func() { close(s.ended) })
}

// Start runs spec. The caller must Stop the child.
func (s *Spawner) Start(spec Spec) (*Child, error) {
	reply := make(chan started, 1)
	select {
	case s.requests <- request{spec, reply}:
	case <-s.ended:
		return nil, errClosed
	}
	r := <-reply
	return r.child, r.err
}

// run never unlocks its thread, so the thread ends with the goroutine.
func (s *Spawner) run() {
	runtime.LockOSThread()
	for {
		select {
		case r := <-s.requests:
			c, err := startPinned(r.spec)
			r.reply <- started{c, err}
		case <-s.ended:
			return
		}
	}
}

// startPinned starts spec on its CPUs; the thread gets its own back.
func startPinned(spec Spec) (*Child, error) {
	if len(spec.CPUs) == 0 {
		return start(spec)
	}
	before, err := proc.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	if err := proc.PinThread(spec.CPUs); err != nil {
		return nil, err
	}
	c, err := start(spec)
	if failed := proc.PinThread(before); failed != nil && err == nil {
		return nil, errors.Join(failed, c.Stop())
	}
	return c, err
}

func start(spec Spec) (*Child, error) {
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.WaitDelay = pipeGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: spec.DeathSignal}
	if spec.DeathSignal == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	c := &Child{cmd: cmd, tail: new(tail), done: make(chan struct{}), stopGrace: stopGrace}
	cmd.Stderr, cmd.Stdout = spec.Stderr, spec.Stdout
	if spec.Stderr == nil {
		cmd.Stderr = c.tail
	}
	if spec.Stdout == nil {
		cmd.Stdout = c.tail
	}
	if spec.Stdin {
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Path, err)
		}
		c.stdin = in
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	go c.wait()
	return c, nil
}

func (c *Child) wait() {
	err := c.cmd.Wait()
	// A descendant may keep the pipes open; Stop ends it, and its output past
	// this point is of no interest.
	if !errors.Is(err, exec.ErrWaitDelay) {
		c.err = err
	}
	close(c.done)
}

// Wait returns when the process has ended: nil for exit status 0, otherwise an
// error with its last output. When ctx ends or limit passes first, it stops the
// process and fails.
func (c *Child) Wait(ctx context.Context, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.done:
		if c.err != nil {
			return c.Failure(c.err.Error())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.Stop())
	case <-timer.C:
		return errors.Join(c.Failure(fmt.Sprintf("still runs after %v", limit)), c.Stop())
	}
}
