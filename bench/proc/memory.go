package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// ParseRollup reads /proc/<pid>/smaps_rollup and returns the resident set in
// bytes. Unlike VmRSS and statm, whose counters are batched per CPU, it is
// counted from the page tables and thus exact.
func ParseRollup(text []byte) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		value, ok := bytes.CutPrefix(lines.Bytes(), []byte("Rss:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("smaps_rollup line %q: want Rss: <n> kB", lines.Bytes())
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 53)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: rss: %w", err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("smaps_rollup: no Rss line in %d bytes", len(text))
}

// RSS returns the resident memory of pids together, in bytes. Pages that two of
// them share count twice, which a difference of two readings cancels.
func (f FS) RSS(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		text, err := os.ReadFile(f.path(pid, "smaps_rollup"))
		if err != nil {
			return 0, fmt.Errorf("memory of pid %d: %w", pid, err)
		}
		rss, err := ParseRollup(text)
		if err != nil {
			return 0, fmt.Errorf("memory of pid %d: %w", pid, err)
		}
		sum += rss
	}
	return sum, nil
}
