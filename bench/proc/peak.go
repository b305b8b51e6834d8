package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// resetPeak written to /proc/<pid>/clear_refs makes VmHWM start again from what is
// resident now (proc(5)).
const resetPeak = "5"

// ResetPeak has the peak of the resident memory of pids count from now.
func (f FS) ResetPeak(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(f.path(pid, "clear_refs"), []byte(resetPeak), 0); err != nil {
			return fmt.Errorf("reset the peak memory of pid %d: %w", pid, err)
		}
	}
	return nil
}

// ParsePeak reads /proc/<pid>/status and returns VmHWM in bytes.
func ParsePeak(text []byte) (int64, error) {
	for line := range bytes.Lines(text) {
		value, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("status line %q: want VmHWM: <n> kB", line)
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 53)
		if err != nil {
			return 0, fmt.Errorf("status: VmHWM: %w", err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("status: no VmHWM line in %d bytes", len(text))
}

// Peak returns the most memory that was resident since ResetPeak, in bytes: the sum of
// the peaks of pids, which is above the peak of their sum when they come apart.
func (f FS) Peak(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		text, err := os.ReadFile(f.path(pid, "status"))
		if err != nil {
			return 0, fmt.Errorf("peak memory of pid %d: %w", pid, err)
		}
		peak, err := ParsePeak(text)
		if err != nil {
			return 0, fmt.Errorf("peak memory of pid %d: %w", pid, err)
		}
		sum += peak
	}
	return sum, nil
}
