package proc

import (
	"os"
	"testing"
)

func TestParsePeak(t *testing.T) {
	const status = "Name:\tnginx\nVmPeak:\t  12328 kB\nVmHWM:\t    6080 kB\nVmRSS:\t    1904 kB\n"
	if peak, err := ParsePeak([]byte(status)); err != nil || peak != 6080<<10 {
		t.Errorf("got %d, %v, want %d", peak, err, 6080<<10)
	}
	for _, text := range []string{"", "VmRSS: 1 kB\n", "VmHWM: 1 MB\n", "VmHWM: kB\n", "VmHWM: x kB\n"} {
		if peak, err := ParsePeak([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, peak)
		}
	}
}

// TestPeakStartsAgain has this process use memory, give it back, and use none.
func TestPeakStartsAgain(t *testing.T) {
	const size = 64 << 20
	self := []int{os.Getpid()}
	if err := (FS{}).ResetPeak(self); err != nil {
		t.Fatal(err)
	}
	before, err := FS{}.RSS(self)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, size)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	peak, err := FS{}.Peak(self)
	if err != nil || peak < before+size*9/10 {
		t.Errorf("peak %d, %v, want at least %d more than %d", peak, err, size*9/10, before)
	}
	if block[0] != 1 {
		t.Error("the block was optimised away")
	}
}

func TestPeakOfNobody(t *testing.T) {
	none := FS{Root: t.TempDir()}
	if err := none.ResetPeak([]int{1}); err == nil {
		t.Error("reset: want an error")
	}
	if peak, err := none.Peak([]int{1}); err == nil {
		t.Errorf("got %d, want an error", peak)
	}
}
