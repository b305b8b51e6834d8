package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"
)

// taskID names a thread of a process.
type taskID struct{ pid, tid int }

// CPUSample is the CPU time that a set of processes had used at one moment.
type CPUSample struct {
	user, system uint64                   // ticks, over all processes
	tasks        map[taskID]time.Duration // time on a CPU per living thread
	pids         []int
}

// CPU is CPU time used over an interval. User and System add up to Total.
type CPU struct {
	Total, User, System time.Duration

	// Fine says that Total was summed from nanosecond counters. Otherwise a
	// thread ended in the interval and took its counter with it, and Total comes
	// from ticks: an error of up to one TickDuration per process and mode.
	Fine bool
}

// ParseSchedstat reads /proc/<pid>/task/<tid>/schedstat and returns the time the
// thread spent on a CPU.
func ParseSchedstat(line []byte) (time.Duration, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return 0, fmt.Errorf("schedstat line %q: %d fields, want 3", line, len(fields))
	}
	ns, err := strconv.ParseUint(string(fields[0]), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("schedstat line: time on cpu: %w", err)
	}
	return time.Duration(ns), nil
}

// SampleCPU reads the CPU time of pids. Each must be running.
func (f FS) SampleCPU(pids []int) (CPUSample, error) {
	s := CPUSample{tasks: make(map[taskID]time.Duration), pids: pids}
	for _, pid := range pids {
		st, err := f.Stat(pid)
		if err != nil {
			return CPUSample{}, fmt.Errorf("cpu time of pid %d: %w", pid, err)
		}
		s.user += st.UserTicks
		s.system += st.SystemTicks
		if err := f.sampleTasks(pid, s.tasks); err != nil {
			return CPUSample{}, fmt.Errorf("cpu time of pid %d: %w", pid, err)
		}
	}
	return s, nil
}

func (f FS) sampleTasks(pid int, into map[taskID]time.Duration) error {
	entries, err := os.ReadDir(f.path(pid, "task"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(f.path(pid, "task", e.Name(), "schedstat"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread ended, or the kernel lacks CONFIG_SCHED_INFO
		}
		if err != nil {
			return err
		}
		d, err := ParseSchedstat(line)
		if err != nil {
			return err
		}
		into[taskID{pid, tid}] = d
	}
	return nil
}

// Since returns the CPU time used between before and s. It fails when a process
// of before is not in s, as its time is then lost. A process or thread that is
// new in s counts in full.
func (s CPUSample) Since(before CPUSample) (CPU, error) {
	for _, pid := range before.pids {
		if !slices.Contains(s.pids, pid) {
			return CPU{}, fmt.Errorf("process %d ended during the measurement", pid)
		}
	}
	user := time.Duration(s.user-before.user) * TickDuration
	system := time.Duration(s.system-before.system) * TickDuration
	ticks := user + system
	total, fine := s.onCPU(before)
	if !fine {
		return CPU{Total: ticks, User: user, System: system}, nil
	}
	if ticks == 0 {
		// Less than a tick was used: too little to tell user from system.
		return CPU{Total: total, User: total, Fine: true}, nil
	}
	u := time.Duration(float64(total) * float64(user) / float64(ticks))
	return CPU{Total: total, User: u, System: total - u, Fine: true}, nil
}

// onCPU sums the nanosecond counters; false when one of before has gone, or when
// the kernel has none.
func (s CPUSample) onCPU(before CPUSample) (time.Duration, bool) {
	for id := range before.tasks {
		if _, ok := s.tasks[id]; !ok {
			return 0, false
		}
	}
	var total time.Duration
	for id, d := range s.tasks {
		total += d - before.tasks[id]
	}
	return total, len(s.tasks) > 0
}
