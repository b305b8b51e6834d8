package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/bench/proc"
)

// endTimeout bounds the wait for processes whose lab was killed: nginx and the others end within moments of SIGTERM.
const endTimeout = time.Minute

// adopt makes processes that lose their parent children of this one, so that none is lost sight of.
func adopt(t *testing.T) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
}

// startLab runs the lab as a process, with the fake proxy and whatever peers there are, in a process group as a shell does.
func startLab(t *testing.T) (lab *exec.Cmd, progress *bufio.Scanner) {
	t.Helper()
	if testing.Short() {
		t.Skip("a run takes seconds")
	}
	t.Setenv("TMPDIR", t.TempDir())
	lab = exec.Command(script(t, "lab"), "--proxy", script(t, "proxy"), "--scenario", "h1-small,idle-10k",
		"--rounds", "100", "--duration", "1s", "--warmup", "1s", "--load", "own")
	lab.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := lab.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	return lab, bufio.NewScanner(stderr)
}

// awaitRounds returns when each proxy has been measured once: the second round has begun.
func awaitRounds(t *testing.T, progress *bufio.Scanner) {
	t.Helper()
	for progress.Scan() {
		t.Log(progress.Text())
		if strings.Contains(progress.Text(), " round 2/100 ") {
			return
		}
	}
	t.Fatal("the lab ended by itself")
}

// TestInterruptKey sends what a terminal sends when Ctrl-C is pressed, twice, as one who waits does: all ends in order.
func TestInterruptKey(t *testing.T) {
	adopt(t)
	lab, progress := startLab(t)
	awaitRounds(t, progress)
	for range 2 {
		if err := syscall.Kill(-lab.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	last := ""
	for progress.Scan() {
		last = progress.Text()
	}
	var exit *exec.ExitError
	if err := lab.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("the lab ended with %v, want exit status %d; last it said %q", err, exitFailed, last)
	}
	noneLeft(t)
}

// TestKilled has the lab end without a chance to end anything.
func TestKilled(t *testing.T) {
	adopt(t)
	lab, progress := startLab(t)
	awaitRounds(t, progress)
	if err := lab.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for progress.Scan() { // until nobody has its standard error any more
	}
	lab.Wait()
	for deadline := time.Now().Add(endTimeout); ; time.Sleep(10 * time.Millisecond) {
		tree, err := proc.FS{}.Tree(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if len(tree) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes left: %v", tree)
		}
	}
}
