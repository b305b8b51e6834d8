package proc

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// BusyTime is how long CPUs had been doing anything, time stolen by a hypervisor
// included, and how long they had existed, each summed over the CPUs.
type BusyTime struct {
	Busy, Wall time.Duration
}

// Positions of the columns of a cpuN line of /proc/stat, after its name. What
// follows steal is guest time, which user and nice include already.
const (
	columnIdle   = 3
	columnIOWait = 4
	columnSteal  = 7
)

// ParseBusy reads /proc/stat and returns the times of cpus together.
func ParseBusy(text []byte, cpus []int) (BusyTime, error) {
	var sum BusyTime
	found := 0
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		digits, ok := bytes.CutPrefix(fields[0], []byte("cpu"))
		cpu, err := strconv.Atoi(string(digits))
		if !ok || err != nil || !slices.Contains(cpus, cpu) {
			continue
		}
		if len(fields) < 2+columnSteal {
			return BusyTime{}, fmt.Errorf("stat line of cpu %d: %d columns, want at least %d", cpu, len(fields)-1, 1+columnSteal)
		}
		for i, field := range fields[1 : 2+columnSteal] {
			ticks, err := strconv.ParseUint(string(field), 10, 53)
			if err != nil {
				return BusyTime{}, fmt.Errorf("stat line of cpu %d: column %d: %w", cpu, i+1, err)
			}
			sum.Wall += time.Duration(ticks) * TickDuration
			if i != columnIdle && i != columnIOWait {
				sum.Busy += time.Duration(ticks) * TickDuration
			}
		}
		found++
	}
	if found != len(cpus) {
		return BusyTime{}, fmt.Errorf("stat: lines of %d of the cpus %v", found, cpus)
	}
	return sum, nil
}

// SampleBusy reads the times of cpus.
func (f FS) SampleBusy(cpus []int) (BusyTime, error) {
	text, err := os.ReadFile(f.root() + "/stat")
	if err != nil {
		return BusyTime{}, err
	}
	return ParseBusy(text, cpus)
}

// Foreign returns the fraction of the CPUs' time between before and b that they spent
// on anything but own, in [0, 1].
func (b BusyTime) Foreign(before BusyTime, own time.Duration) float64 {
	wall := b.Wall - before.Wall
	if wall <= 0 {
		return 0
	}
	return max(0, min(1, float64(b.Busy-before.Busy-own)/float64(wall)))
}
