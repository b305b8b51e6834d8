package harness

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// burn computes until the process has used that much time.
func burn(t *testing.T, p Process, d time.Duration) {
	t.Helper()
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	for sum, now := 0, before; now-before < d; {
		for i := range 1 << 20 {
			sum += i
		}
		if now, err = p.CPU(); err != nil || sum == 0 {
			t.Fatal(err)
		}
	}
}

func TestMeasure(t *testing.T) {
	const size = 64 << 20
	for _, p := range []Process{Self(), ProcessOf(os.Getpid())} {
		var held []byte // not of Go's heap, where there may be room that is resident already
		c, err := p.Measure(func() int {
			var err error
			if held, err = syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE); err != nil {
				t.Error(err)
			}
			for i := 0; i < len(held); i += 4096 {
				held[i] = 1
			}
			burn(t, p, 100*time.Millisecond)
			return 1000
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.Frames != 1000 || c.CPU < 100*time.Millisecond || c.PerFrame() < 100*time.Microsecond || c.Share() <= 0 {
			t.Errorf("got %v", c)
		}
		if c.Growth() < size/2 || c.RSSAfter > c.RSSPeak {
			t.Errorf("%d bytes were written: %v", size, c)
		}
		if err := syscall.Munmap(held); err != nil {
			t.Error(err)
		}
	}
}

func TestMeasureUsage(t *testing.T) {
	before, err := Self().Usage()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	after, err := Self().Usage()
	if err != nil {
		t.Fatal(err)
	}
	if after.Descriptors != before.Descriptors+1 || after.Threads < 1 || after.RSS <= 0 || after.CPU < before.CPU {
		t.Errorf("%+v after %+v", after, before)
	}
}

// TestMeasureGone holds that a process that has ended is an error, not a cost of nothing.
func TestMeasureGone(t *testing.T) {
	const nobody = 1 << 23 // beyond the highest process id
	if c, err := ProcessOf(nobody).Measure(func() int { return 1 }); err == nil {
		t.Errorf("got %v", c)
	}
	if u, err := ProcessOf(nobody).Usage(); err == nil {
		t.Errorf("got %v", u)
	}
}

func TestCostString(t *testing.T) {
	c := Cost{Frames: 100000, CPU: 50 * time.Millisecond, Elapsed: 100 * time.Millisecond, RSSBefore: 20 << 20, RSSPeak: 24 << 20, RSSAfter: 19 << 20}
	want := "100000 frames, 500 ns/frame, CPU 50ms in 100ms (0.50 cores), RSS 20.0 MiB, peak +4.0, after -1.0"
	if got := c.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := (Cost{}).String(); !strings.HasPrefix(got, "0 frames, 0 ns/frame") {
		t.Errorf("got %s", got)
	}
}
