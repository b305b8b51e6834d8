package process

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// pollEvery is the pause between two looks at another process, which can tell us nothing itself.
const pollEvery = 5 * time.Millisecond

// Child is a running process. It ends with the test at the latest, and so does whatever it has started.
type Child struct {
	t     testing.TB
	child *child.Child
	log   log
	name  string
}

// Command says what to run.
type Command struct {
	Path string
	Args []string // without the program's name
	Env  []string // nil inherits
	Dir  string   // "" inherits
}

// Run starts a process. What it writes is in Output.
func Run(t testing.TB, c Command) *Child {
	t.Helper()
	// The kernel kills the process when the thread of its spawner ends: also when the test is killed.
	spawner := child.NewSpawner()
	p := &Child{t: t, name: c.Path}
	started, err := spawner.Start(child.Spec{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdout: &p.log, Stderr: &p.log})
	if err != nil {
		spawner.Close()
		t.Fatal(err)
	}
	p.child = started
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
		<-started.Done()
		spawner.Close()
	})
	return p
}

// PID returns the process id.
func (p *Child) PID() int { return p.child.PID() }

// Process returns what CPU time and memory are read of.
func (p *Child) Process() harness.Process { return harness.ProcessOf(p.PID()) }

// Output returns what the process has written so far.
func (p *Child) Output() string { return p.log.String() }

// Wait waits until the process has ended by itself, and says how: nil for status 0.
func (p *Child) Wait() error {
	p.t.Helper()
	select {
	case <-p.child.Done():
		return p.child.Err()
	case <-time.After(harness.Guard):
		p.t.Fatalf("%s still runs; %s", p.name, tail(p.Output()))
		return nil
	}
}

// Stop asks the process to end, and says how it did: nil for status 0. A process that does not end within a few seconds is
// killed.
func (p *Child) Stop() error {
	if err := p.child.Stop(); err != nil {
		return err
	}
	<-p.child.Done()
	return p.child.Err()
}

// Eventually asks until the answer is yes. What says in failures what did not happen.
func (p *Child) Eventually(what string, yes func() bool) {
	p.t.Helper()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for deadline := time.Now().Add(harness.Guard); !yes(); <-poll.C {
		select {
		case <-p.child.Done():
			p.t.Fatalf("%s has ended (%v), want %s; %s", p.name, p.child.Err(), what, tail(p.Output()))
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: want %s; %s", p.name, what, tail(p.Output()))
		}
	}
}

// WaitListening waits until the process takes connections at the address.
func (p *Child) WaitListening(address string) {
	p.t.Helper()
	p.Eventually("to listen on "+address, func() bool {
		conn, err := net.DialTimeout("tcp", address, harness.Guard)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// FreeAddress returns an address of 127.0.0.1 with a port that was free a moment ago, for a program that cannot ask the
// kernel for one itself.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
