package proc

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxCPUs is the number of CPUs an affinity mask of x/sys can name.
const maxCPUs = 1024

// AllowedCPUs lists the CPUs the calling thread may run on, ascending.
func AllowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// PinThread binds the calling thread to cpus; threads and processes it creates
// inherit that.
func PinThread(cpus []int) error { return pin(0, cpus) }

// PinSelf binds every thread of this process to cpus.
func PinSelf(cpus []int) error {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if err := pin(tid, cpus); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

func pin(tid int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		if err == unix.ESRCH {
			return err
		}
		return fmt.Errorf("sched_setaffinity to cpus %v: %w", cpus, err)
	}
	return nil
}
