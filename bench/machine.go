package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Machine is where a report was made, and who ran on which CPU.
type Machine struct {
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
	CPU    string `json:"cpu"`
	// ProxyCPUs run the proxy alone; LoadCPUs the origin, the load and the lab.
	ProxyCPUs []int `json:"proxy_cpus"`
	LoadCPUs  []int `json:"load_cpus"`
	// Shared says that there was one CPU for all of it: requests per second and
	// latency are then those of the whole, and CPU time per request suffers from
	// cold caches.
	Shared bool `json:"shared"`
}

// inspectMachine describes the machine and divides cpus, which is not empty.
func inspectMachine(cpus []int) (Machine, error) {
	m := Machine{Arch: runtime.GOARCH, CPU: "unknown"}
	m.ProxyCPUs, m.LoadCPUs, m.Shared = assign(cpus)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return Machine{}, fmt.Errorf("uname: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:])
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(text)
	}
	return m, nil
}

// assign gives the first CPU to the proxy and the others to the rest.
func assign(cpus []int) (proxy, load []int, shared bool) {
	if len(cpus) < 2 {
		return cpus, cpus, true
	}
	return cpus[:1], cpus[1:], false
}

// proxyCPUs are those that the proxy is to run on in the scenario: its own, and for more workers than it has those of the load as well.
func (l *lab) proxyCPUs(s Scenario) []int {
	if s.Workers <= len(l.machine.ProxyCPUs) {
		return l.machine.ProxyCPUs
	}
	return l.cpus[:min(s.Workers, len(l.cpus))]
}

// loadCPUs are those that the load is to run on in the scenario: such as the proxy does not have, if there are any.
func (l *lab) loadCPUs(s Scenario) []int {
	if s.Workers > len(l.machine.ProxyCPUs) && s.Workers < len(l.cpus) {
		return l.cpus[s.Workers:]
	}
	return l.machine.LoadCPUs
}

// alone reports whether the proxy has its CPUs to itself in the scenario, as far as the lab goes.
func (l *lab) alone(s Scenario) bool {
	return !l.machine.Shared && s.Workers <= len(l.machine.ProxyCPUs)
}

// cpuModel returns the model name of the first processor in the text of
// /proc/cpuinfo; not every architecture states one.
func cpuModel(text []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

const (
	// wantFiles is the descriptor limit the lab and its children try for: both
	// ends of the idle connections, several times over.
	wantFiles = 64 << 10
	// spareFiles are those a process needs besides its connections.
	spareFiles = 1024
)

// raiseFileLimit raises the limit on open files to wantFiles, or as near as the
// host allows, and returns it. It goes through package syscall so that children
// inherit the raised limit: the runtime otherwise restores the one it started with.
func raiseFileLimit() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	wish := syscall.Rlimit{Cur: max(limit.Cur, wantFiles), Max: max(limit.Max, wantFiles)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wish) == nil {
		return wish.Cur, nil
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("setrlimit: %w", err)
	}
	return limit.Cur, nil
}
