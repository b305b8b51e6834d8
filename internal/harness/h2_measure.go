package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// Process is what a test measures: the proxy in a process of its own, or the test itself with the proxy in it.
type Process struct{ dir string }

// ProcessOf returns the process with an id.
func ProcessOf(pid int) Process { return Process{"/proc/" + strconv.Itoa(pid)} }

// Self returns the process of the test.
func Self() Process { return Process{"/proc/self"} }

const (
	// tick is the unit of CPU times in /proc, on every architecture that Go runs on.
	tick = 10 * time.Millisecond
	// sampleEvery is how often memory is looked at.
	sampleEvery = 2 * time.Millisecond
	// Columns of /proc/<pid>/stat after the name, which is in parentheses (proc_pid_stat(5)).
	columnUser, columnSystem = 11, 12
)

// Usage is what a process has used and holds.
type Usage struct {
	CPU         time.Duration // user and system, in steps of 10 ms
	RSS         int64         // bytes
	Descriptors int
	Threads     int
}

// Usage reads what the process uses.
func (p Process) Usage() (u Usage, err error) {
	if u.CPU, err = p.CPU(); err != nil {
		return u, err
	}
	status, err := os.ReadFile(p.dir + "/status")
	if err != nil {
		return u, err
	}
	kilobytes, err := statusNumber(status, "VmRSS")
	if err != nil {
		return u, err
	}
	threads, err := statusNumber(status, "Threads")
	if err != nil {
		return u, err
	}
	open, err := os.ReadDir(p.dir + "/fd")
	u.RSS, u.Threads, u.Descriptors = kilobytes<<10, int(threads), len(open)
	return u, err
}

// CPU reads how much time the process has computed.
func (p Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(p.dir + "/stat")
	if err != nil {
		return 0, err
	}
	columns := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(columns) <= columnSystem {
		return 0, fmt.Errorf("%s/stat has %d columns after the name", p.dir, len(columns))
	}
	user, errUser := strconv.ParseInt(string(columns[columnUser]), 10, 64)
	system, errSystem := strconv.ParseInt(string(columns[columnSystem]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(errUser, errSystem)
}

// RSS reads how many bytes of memory the process has resident.
func (p Process) RSS() (int64, error) {
	status, err := os.ReadFile(p.dir + "/status")
	if err != nil {
		return 0, err
	}
	kilobytes, err := statusNumber(status, "VmRSS")
	return kilobytes << 10, err
}

// statusNumber returns the number of a line of /proc/<pid>/status.
func statusNumber(status []byte, name string) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			return strconv.ParseInt(string(number), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/<pid>/status has no %s", name)
}

// Cost is what an attack cost the process that it was for.
type Cost struct {
	Frames    int
	CPU       time.Duration
	Elapsed   time.Duration
	RSSBefore int64
	RSSPeak   int64
	RSSAfter  int64
}

// Measure runs attack, which returns how many frames it sent, and returns what that cost the process. The peak of memory is
// that of samples, one every few milliseconds. It may be called on any goroutine.
func (p Process) Measure(attack func() (frames int)) (Cost, error) {
	var c Cost
	before, err := p.CPU()
	if err != nil {
		return c, err
	}
	if c.RSSBefore, err = p.RSS(); err != nil {
		return c, err
	}
	stop := make(chan struct{})
	var sampling sync.WaitGroup
	var peak int64
	sampling.Go(func() { peak = p.samplePeak(stop) })
	began := time.Now()
	c.Frames = attack()
	c.Elapsed = time.Since(began)
	close(stop)
	sampling.Wait()
	after, errCPU := p.CPU()
	var errRSS error
	c.RSSAfter, errRSS = p.RSS()
	c.CPU, c.RSSPeak = after-before, max(peak, c.RSSBefore, c.RSSAfter)
	return c, errors.Join(errCPU, errRSS)
}

// samplePeak returns the most memory that was seen before stop was closed. A process that has ended has none.
func (p Process) samplePeak(stop <-chan struct{}) (peak int64) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		if rss, err := p.RSS(); err == nil {
			peak = max(peak, rss)
		}
		select {
		case <-stop:
			return peak
		case <-ticker.C:
		}
	}
}

// PerFrame returns the CPU time per frame, 0 without frames.
func (c Cost) PerFrame() time.Duration {
	if c.Frames == 0 {
		return 0
	}
	return c.CPU / time.Duration(c.Frames)
}

// Share returns how much of one core was used.
func (c Cost) Share() float64 {
	if c.Elapsed <= 0 {
		return 0
	}
	return float64(c.CPU) / float64(c.Elapsed)
}

// Growth returns how much more memory was in use at the peak.
func (c Cost) Growth() int64 { return c.RSSPeak - c.RSSBefore }

// String returns the cost as reports show it.
func (c Cost) String() string {
	const mebibyte = 1 << 20
	return fmt.Sprintf("%d frames, %d ns/frame, CPU %v in %v (%.2f cores), RSS %.1f MiB, peak +%.1f, after %+.1f",
		c.Frames, c.PerFrame().Nanoseconds(), c.CPU, c.Elapsed.Round(time.Millisecond), c.Share(),
		float64(c.RSSBefore)/mebibyte, float64(c.Growth())/mebibyte, float64(c.RSSAfter-c.RSSBefore)/mebibyte)
}
