package managed

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// namespaced is set in the environment of a test that runs in a network namespace of its own.
const namespaced = "MANAGED_NETWORK_NAMESPACE"

// inNamespace runs the test that calls it again, alone in a process with a network of its own, where all ports of the
// loopback interface are free, and returns true there. env is what it finds in its environment beside ours. Outside it
// returns false, with the test done. Where the machine does not let us make a namespace the test is skipped, and fails in
// continuous integration.
func inNamespace(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(namespaced) != "" {
		loopbackUp(t)
		return true
	}
	// The signal comes when the thread ends that has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], "-test.run", pattern(t.Name()), "-test.v", "-test.count", "1")
	cmd.Env = append(append(os.Environ(), env...), namespaced+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	_, ran := err.(*exec.ExitError)
	switch {
	case err == nil:
		t.Logf("%s", out)
	case ran:
		t.Errorf("in its network namespace: %v\n%s", err, out)
	case os.Getenv("CI") == "true":
		t.Fatalf("network namespace: %v", err)
	default:
		t.Skipf("this machine lets us have no network namespace: %v", err)
	}
	return false
}

// pattern matches the test of this name only.
func pattern(name string) string {
	var b []byte
	for _, c := range []byte("^" + name + "$") {
		if c == '/' {
			b = append(b, "$/^"...)
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

// loopbackUp brings up the loopback interface, which is down in a new namespace.
func loopbackUp(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatalf("bring up the loopback interface: %v", err)
	}
}
