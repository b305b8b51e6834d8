package proc

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

const nginxStat = "26016 (nginx: (w) x) S 26011 26011 25717 0 -1 4194624 1101 0 0 0 123 456 7 8 20 0 1 0 186345 12623872 1520 18446744073709551615 1 1 0\n"

func TestParseStat(t *testing.T) {
	got, err := ParseStat([]byte(nginxStat))
	want := Stat{PID: 26016, Comm: "nginx: (w) x", State: 'S', PPID: 26011, PGRP: 26011, UserTicks: 123, SystemTicks: 456}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseStatRefuses(t *testing.T) {
	for _, line := range []string{
		"", "26016", "26016 nginx S 1 1", "x (nginx) S 1 1 1 0 -1 0 0 0 0 0 1 2",
		"1 (a) S 1 1 1 0 -1 0 0 0 0 0 1", "1 (a) SS 1 1 1 0 -1 0 0 0 0 0 1 2",
		"1 (a) S x 1 1 0 -1 0 0 0 0 0 1 2", "1 (a) S 1 x 1 0 -1 0 0 0 0 0 1 2",
		"1 (a) S 1 1 1 0 -1 0 0 0 0 0 -1 2", "1 (a) S 1 1 1 0 -1 0 0 0 0 0 1 x", ") (1",
	} {
		if got, err := ParseStat([]byte(line)); err == nil {
			t.Errorf("%q: got %+v, want an error", line, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(nginxStat))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := ParseStat(line)
		if err == nil && s.State == 0 {
			t.Errorf("%q: accepted without a state", line)
		}
	})
}

func TestParseSchedstat(t *testing.T) {
	if d, err := ParseSchedstat([]byte("1048766 105846 2\n")); err != nil || d != 1048766 {
		t.Errorf("got %v, %v, want 1048766ns", d, err)
	}
	for _, line := range []string{"", "1 2", "1 2 3 4", "-1 2 3", "99999999999999999999 1 1"} {
		if d, err := ParseSchedstat([]byte(line)); err == nil {
			t.Errorf("%q: got %v, want an error", line, d)
		}
	}
}

func TestParseRollup(t *testing.T) {
	const rollup = "55d0c0a00000-7ffd0c5f9000 ---p 00000000 00:00 0    [rollup]\nRss:                1904 kB\nPss:                 300 kB\nRss_x: 1 kB\n"
	if rss, err := ParseRollup([]byte(rollup)); err != nil || rss != 1904<<10 {
		t.Errorf("got %d, %v, want %d", rss, err, 1904<<10)
	}
	for _, text := range []string{"", "Pss: 1 kB\n", "Rss: 1 MB\n", "Rss: kB\n", "Rss: x kB\n"} {
		if rss, err := ParseRollup([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, rss)
		}
	}
}

func TestParseBusy(t *testing.T) {
	const stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 100 4 5 6 7 50 50\ncpu1 0 0 10 90 0 0 0 0 0 0\nintr 5\n"
	got, err := ParseBusy([]byte(stat), []int{0, 1})
	want := BusyTime{Busy: 34 * TickDuration, Wall: 228 * TickDuration}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "cpu0 1 2 3\n", "cpu0 1 2 3 x 5 6 7 8\n", "cpu 1 2 3 4 5 6 7 8\n"} {
		if got, err := ParseBusy([]byte(text), []int{0}); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestForeign(t *testing.T) {
	before := BusyTime{Busy: time.Second, Wall: 10 * time.Second}
	after := BusyTime{Busy: 9 * time.Second, Wall: 20 * time.Second}
	for own, want := range map[time.Duration]float64{0: 0.8, 6 * time.Second: 0.2, 9 * time.Second: 0} {
		if got := after.Foreign(before, own); got != want {
			t.Errorf("own %v: got %v, want %v", own, got, want)
		}
	}
	if got := before.Foreign(before, 0); got != 0 {
		t.Errorf("no time between: got %v, want 0", got)
	}
}

// fixture writes a proc file system; each task maps a thread to its nanoseconds.
type fixture struct {
	pid, ppid, pgrp int
	state           string
	user, system    int
	tasks           map[int]int
}

func writeProc(t *testing.T, processes ...fixture) FS {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("uptime", "1 1\n")
	for _, p := range processes {
		dir := strconv.Itoa(p.pid)
		write(dir+"/stat", dir+" (p) "+p.state+" "+strconv.Itoa(p.ppid)+" "+strconv.Itoa(p.pgrp)+
			" 0 0 -1 0 0 0 0 0 "+strconv.Itoa(p.user)+" "+strconv.Itoa(p.system)+" 0 0\n")
		write(dir+"/smaps_rollup", "Rss: "+strconv.Itoa(p.pid)+" kB\n")
		for tid, ns := range p.tasks {
			write(dir+"/task/"+strconv.Itoa(tid)+"/schedstat", strconv.Itoa(ns)+" 0 0\n")
		}
	}
	return FS{Root: root}
}

func TestTreeAndGroup(t *testing.T) {
	fs := writeProc(t,
		fixture{pid: 1, ppid: 0, pgrp: 1, state: "S"},
		fixture{pid: 10, ppid: 1, pgrp: 10, state: "S"},
		fixture{pid: 30, ppid: 10, pgrp: 10, state: "R"},
		fixture{pid: 20, ppid: 30, pgrp: 20, state: "S"},
		fixture{pid: 40, ppid: 10, pgrp: 10, state: "Z"},
		fixture{pid: 50, ppid: 1, pgrp: 50, state: "S"},
	)
	for root, want := range map[int][]int{10: {10, 20, 30}, 50: {50}, 40: nil, 99: nil, 1: {1, 10, 20, 30, 50}} {
		got, err := fs.Tree(root)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("tree of %d: got %v, %v, want %v", root, got, err, want)
		}
	}
	group, err := fs.Group(10)
	slices.Sort(group)
	if want := []int{10, 30}; err != nil || !slices.Equal(group, want) {
		t.Errorf("group 10: got %v, %v, want %v", group, err, want)
	}
	if rss, err := fs.RSS([]int{10, 20}); err != nil || rss != 30<<10 {
		t.Errorf("rss: got %d, %v, want %d", rss, err, 30<<10)
	}
}

func TestDescendantsOfTornSnapshot(t *testing.T) {
	all := []Stat{{PID: 2, PPID: 3, State: 'S'}, {PID: 3, PPID: 2, State: 'S'}}
	if got := descendants(all, 2); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("got %v, want [2 3]", got)
	}
}

func TestCPUSince(t *testing.T) {
	before := writeProc(t, fixture{pid: 7, state: "S", user: 100, system: 100, tasks: map[int]int{7: 1000, 8: 500}})
	tests := []struct {
		name  string
		after fixture
		want  CPU
	}{
		{
			"split of the fine total by ticks",
			fixture{pid: 7, state: "S", user: 101, system: 103, tasks: map[int]int{7: 1300, 8: 600}},
			CPU{Total: 400, User: 100, System: 300, Fine: true},
		}, {
			"new thread counts in full",
			fixture{pid: 7, state: "S", user: 101, system: 100, tasks: map[int]int{7: 1000, 8: 500, 9: 70}},
			CPU{Total: 70, User: 70, Fine: true},
		}, {
			"ended thread leaves ticks",
			fixture{pid: 7, state: "S", user: 102, system: 101, tasks: map[int]int{7: 2000}},
			CPU{Total: 3 * TickDuration, User: 2 * TickDuration, System: TickDuration},
		}, {
			"below a tick",
			fixture{pid: 7, state: "S", user: 100, system: 100, tasks: map[int]int{7: 1010, 8: 500}},
			CPU{Total: 10, User: 10, Fine: true},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, err := before.SampleCPU([]int{7})
			if err != nil {
				t.Fatal(err)
			}
			a, err := writeProc(t, test.after).SampleCPU([]int{7})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := a.Since(b); err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestCPUSinceRefusesEndedProcess(t *testing.T) {
	fs := writeProc(t, fixture{pid: 7, state: "S", tasks: map[int]int{7: 1}}, fixture{pid: 8, ppid: 7, state: "S", tasks: map[int]int{8: 1}})
	before, err := fs.SampleCPU([]int{7, 8})
	if err != nil {
		t.Fatal(err)
	}
	after, err := fs.SampleCPU([]int{7})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Since(before); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
	if _, err := fs.SampleCPU([]int{9}); err == nil {
		t.Error("sample of a process that is not there: want an error")
	}
}

// TestOwnProcess holds the parsers against the kernel that runs the test.
func TestOwnProcess(t *testing.T) {
	pids, err := FS{}.Tree(os.Getpid())
	if err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("tree: %v, %v", pids, err)
	}
	before, err := FS{}.SampleCPU([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	after, err := FS{}.SampleCPU([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if cpu, err := after.Since(before); err != nil || cpu.Total < 0 || cpu.User+cpu.System != cpu.Total {
		t.Errorf("cpu: %+v, %v", cpu, err)
	}
	if rss, err := (FS{}).RSS([]int{os.Getpid()}); err != nil || rss < 1<<20 {
		t.Errorf("rss: %d, %v, want at least a MiB", rss, err)
	}
	cpus, err := AllowedCPUs()
	if err != nil || len(cpus) == 0 {
		t.Errorf("allowed cpus: %v, %v", cpus, err)
	}
}
