// Package child runs the processes of a load lab so that none outlives it: each
// is started on chosen CPUs as the leader of its own process group, is signalled
// by the kernel when the lab dies, and takes its descendants along when stopped.
package child

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

const (
	// stopGrace is how long a process group may take to end after SIGTERM before
	// it is killed. The proxies close idle connections in far less.
	stopGrace = 3 * time.Second
	// killGrace bounds the wait for a killed group: only a process stuck in the
	// kernel needs longer, and waiting on would not help.
	killGrace = 2 * time.Second
	// groupPoll is the pause between two looks at a group that is ending.
	groupPoll = 10 * time.Millisecond
	// pipeGrace bounds the wait for output pipes that a descendant holds open
	// after the process itself has ended.
	pipeGrace = time.Second
)

// Spec says what to run.
type Spec struct {
	// Path and Args make the command line; Args leaves out the program's name.
	Path string
	Args []string
	// Env is the whole environment, as os.Environ has it; nil inherits.
	Env []string
	// Dir is the working directory; "" inherits.
	Dir string
	// CPUs the process and its descendants are bound to; empty inherits.
	CPUs []int
	// DeathSignal is sent by the kernel when the lab dies; 0 means SIGKILL. It
	// reaches this process only: one with children of its own needs SIGTERM, so
	// that it can end them.
	DeathSignal syscall.Signal
	// Stdout and Stderr receive standard output and standard error; nil adds it
	// to the tail. Writes come from other goroutines and end before Done is closed.
	Stdout, Stderr io.Writer
	// Stdin opens a pipe to standard input, closed by CloseStdin or Stop. Without
	// it the process reads the null device.
	Stdin bool
}

// Child is a started process and whatever it starts.
type Child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	tail  *tail
	done  chan struct{}
	err   error // set before done is closed

	stopGrace time.Duration
}

// PID returns the process id, which is the id of its process group as well.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended and its output has been read.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says how the process ended: nil for exit status 0. Call it after Done.
func (c *Child) Err() error { return c.err }

// Tail returns the last output of the process, at most tailSize bytes.
func (c *Child) Tail() string { return c.tail.String() }

// CloseStdin closes the pipe that Spec.Stdin opened.
func (c *Child) CloseStdin() {
	if c.stdin != nil {
		c.stdin.Close()
	}
}

// Failure describes an ended or faulty process by its command and last output.
func (c *Child) Failure(what string) error {
	text := strings.TrimSpace(c.Tail())
	if text == "" {
		text = "no output"
	}
	return fmt.Errorf("%s: %s\n%s", c.cmd.Path, what, text)
}

// Stop ends the process group: SIGTERM, then SIGKILL for what is left after a
// grace period. It returns an error when something still runs afterwards, and
// may be called again.
func (c *Child) Stop() error {
	c.CloseStdin()
	for _, step := range []struct {
		signal syscall.Signal
		grace  time.Duration
	}{{syscall.SIGTERM, c.stopGrace}, {syscall.SIGKILL, killGrace}} {
		if err := c.signalGroup(step.signal); err != nil {
			return err
		}
		if c.gone(step.grace) {
			return nil
		}
	}
	return c.Failure("still runs after SIGKILL")
}

// signalGroup signals all members of the group; a group without members is fine.
// Once the leader has been reaped only a living member keeps the kernel from
// giving the id to somebody else, so an empty group is not signalled.
func (c *Child) signalGroup(sig syscall.Signal) error {
	select {
	case <-c.done:
		if members, err := (proc.FS{}).Group(c.PID()); err == nil && len(members) == 0 {
			return nil
		}
	default:
	}
	err := syscall.Kill(-c.PID(), sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s: signal process group %d: %w", c.cmd.Path, c.PID(), err)
	}
	return nil
}

// gone waits at most grace for the group to have no living member.
func (c *Child) gone(grace time.Duration) bool {
	deadline := time.After(grace)
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	for {
		select {
		case <-c.done:
			if members, err := (proc.FS{}).Group(c.PID()); err == nil && len(members) == 0 {
				return true
			}
		default:
		}
		select {
		case <-poll.C:
		case <-deadline:
			return false
		}
	}
}
