package child

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// labEnv makes the test program a lab that starts a process, prints its id and waits
// to be killed.
const labEnv = "CHILD_TEST_LAB"

func TestMain(m *testing.M) {
	if os.Getenv(labEnv) == "" {
		os.Exit(m.Run())
	}
	c, err := NewSpawner().Start(Spec{Path: "/bin/sleep", Args: []string{"1000"}, Env: []string{}})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.PID())
	select {}
}

// patience bounds waits that only a failing test exhausts.
const patience = 30 * time.Second

func newSpawner(t *testing.T) *Spawner {
	t.Helper()
	s := NewSpawner()
	t.Cleanup(s.Close)
	return s
}

// startShell runs a script that prints "up" when it is ready.
func startShell(t *testing.T, script string) *Child {
	t.Helper()
	r, w := io.Pipe()
	c, err := newSpawner(t).Start(Spec{Path: "/bin/sh", Args: []string{"-c", script}, Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("script said %q, %v: %s", line, err, c.Tail())
	}
	return c
}

func group(t *testing.T, pgrp int) []int {
	t.Helper()
	members, err := proc.FS{}.Group(pgrp)
	if err != nil {
		t.Fatal(err)
	}
	return members
}

func TestStopEndsTheTree(t *testing.T) {
	for name, script := range map[string]string{
		"children":           "sleep 1000 & (sleep 1000 & sleep 1000) & echo up; wait",
		"leader ends first":  "sleep 1000 & sleep 1000 & echo up",
		"deaf child":         "sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.05; done' & wait",
		"deaf leader":        "trap '' TERM; echo up; while :; do sleep 0.05; done",
		"children, fast end": "sleep 1000 & echo up; exec sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			c := startShell(t, script)
			c.stopGrace = 200 * time.Millisecond
			for range 2 {
				if err := c.Stop(); err != nil {
					t.Errorf("stop: %v", err)
				}
				if left := group(t, c.PID()); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			}
			<-c.Done()
		})
	}
}

func TestDeathOfTheLab(t *testing.T) {
	lab := exec.Command(os.Args[0])
	lab.Env = append(os.Environ(), labEnv+"=1")
	out, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	lab.Process.Kill()
	lab.Wait()
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); len(group(t, pid)) > 0; time.Sleep(groupPoll) {
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d outlived the lab", pid)
		}
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	s := NewSpawner()
	c, err := s.Start(Spec{Path: "/bin/sleep", Args: []string{"1000"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	<-c.Done()
	if _, err := s.Start(Spec{Path: "/bin/true"}); !errors.Is(err, errClosed) {
		t.Errorf("start after close: %v, want %v", err, errClosed)
	}
}

func TestWait(t *testing.T) {
	s := newSpawner(t)
	start := func(script string) *Child {
		t.Helper()
		c, err := s.Start(Spec{Path: "/bin/sh", Args: []string{"-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := start("exit 0").Wait(t.Context(), patience); err != nil {
		t.Errorf("status 0: %v", err)
	}
	err := start("echo broken >&2; exit 3").Wait(t.Context(), patience)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "broken") {
		t.Errorf("status 3: %v", err)
	}
	c := start("exec sleep 1000")
	if err := c.Wait(t.Context(), time.Millisecond); err == nil || len(group(t, c.PID())) != 0 {
		t.Errorf("limit: %v, left %v", err, group(t, c.PID()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c = start("exec sleep 1000")
	if err := c.Wait(ctx, patience); !errors.Is(err, context.Canceled) || len(group(t, c.PID())) != 0 {
		t.Errorf("cancelled: %v, left %v", err, group(t, c.PID()))
	}
}

func TestStartFails(t *testing.T) {
	if _, err := newSpawner(t).Start(Spec{Path: "/nonexistent"}); err == nil {
		t.Error("want an error")
	}
}

func TestStdin(t *testing.T) {
	var out bytes.Buffer
	c, err := newSpawner(t).Start(Spec{Path: "/bin/sh", Args: []string{"-c", "cat; echo end"}, Stdin: true, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	c.CloseStdin()
	<-c.Done()
	if c.Err() != nil || out.String() != "end\n" {
		t.Errorf("%q, %v", out.String(), c.Err())
	}
}

func TestCPUs(t *testing.T) {
	cpus, err := proc.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	last := cpus[len(cpus)-1]
	c, err := newSpawner(t).Start(Spec{Path: "/bin/sh", Args: []string{"-c", "grep Cpus_allowed_list /proc/self/status"}, CPUs: []int{last}})
	if err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if got := strings.Fields(c.Tail()); len(got) != 2 || got[1] != strconv.Itoa(last) {
		t.Errorf("a child for cpu %d says %q", last, c.Tail())
	}
	if after, err := proc.AllowedCPUs(); err != nil || !slices.Equal(after, cpus) {
		t.Errorf("the test itself may use %v now, %v before: %v", after, cpus, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var tl tail
	var all []byte
	for i := range 3000 {
		line := fmt.Appendf(nil, "line %d\n", i)
		all = append(all, line...)
		tl.Write(line)
	}
	if got := tl.String(); got != string(all[len(all)-tailSize:]) {
		t.Errorf("%d bytes, want the last %d", len(got), tailSize)
	}
	tl.Write(all)
	if got := tl.String(); got != string(all[len(all)-tailSize:]) {
		t.Errorf("after one long write: %d bytes, want the last %d", len(got), tailSize)
	}
}
