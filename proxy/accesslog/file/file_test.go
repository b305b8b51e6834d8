package file

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const testWorkers = 2

// fixture is Files, their statistics and a path.
type fixture struct {
	*Files
	store *stats.Store
	path  string
}

func newFixture(t *testing.T, flushBytes int) *fixture {
	t.Helper()
	store := stats.NewStore(stats.Options{})
	return &fixture{
		Files: New(Options{
			Workers: testWorkers, FlushInterval: 10 * time.Second, FlushBytes: flushBytes,
			Stats: store.Scope("filesystem.", stats.Filesystem), Logger: zap.NewNop(),
		}),
		store: store, path: filepath.Join(t.TempDir(), "log"),
	}
}

func (f *fixture) logger(t *testing.T, text string) accesslog.Logger {
	t.Helper()
	l, err := f.Open(&config.FileAccessLog{Path: f.path, Format: config.LogFormat{Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (f *fixture) stat(t *testing.T, name string) uint64 {
	t.Helper()
	n, ok := f.store.Snapshot(context.Background()).Value("filesystem." + name)
	if !ok {
		t.Fatalf("there is no filesystem.%s", name)
	}
	return n
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func entry(worker int, path string) *accesslog.Entry {
	return &accesslog.Entry{Request: &message.Request{Path: []byte(path)}, Worker: worker}
}

// TestFlush has lines wait for the interval, and not when they have come to the size.
func TestFlush(t *testing.T) {
	f := newFixture(t, 8)
	synctest.Test(t, func(t *testing.T) {
		l := f.logger(t, "%REQ(:path)%\n")
		l.Log(entry(0, "/a"))
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := content(t, f.path); got != "" {
			t.Errorf("%q was written before the interval", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := content(t, f.path); got != "/a\n" {
			t.Errorf("got %q after the interval", got)
		}
		if n := f.stat(t, "flushed_by_timer"); n != 1 {
			t.Errorf("flushed_by_timer is %d", n)
		}
		l.Log(entry(1, "/b"))
		l.Log(entry(1, "/123456"))
		synctest.Wait()
		if got := content(t, f.path); got != "/a\n/b\n/123456\n" {
			t.Errorf("got %q at the size", got)
		}
		if buffered, completed := f.stat(t, "write_buffered"), f.stat(t, "write_completed"); buffered != 3 || completed != 2 {
			t.Errorf("write_buffered is %d, write_completed %d", buffered, completed)
		}
		f.Close()
	})
}

// TestReopen has the lines after a move in a new file, and those before it in the old one.
func TestReopen(t *testing.T) {
	f := newFixture(t, 1)
	synctest.Test(t, func(t *testing.T) {
		l := f.logger(t, "%REQ(:path)%\n")
		l.Log(entry(0, "/a"))
		synctest.Wait()
		if err := os.Rename(f.path, f.path+".1"); err != nil {
			t.Fatal(err)
		}
		l.Log(entry(0, "/b"))
		synctest.Wait()
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.Log(entry(0, "/c"))
		synctest.Wait()
		if old, now := content(t, f.path+".1"), content(t, f.path); old != "/a\n/b\n" || now != "/c\n" {
			t.Errorf("the old file has %q, the new one %q", old, now)
		}
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(f.path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := f.Reopen(); err == nil || f.stat(t, "reopen_failed") != 1 {
			t.Errorf("error %v, reopen_failed %d", err, f.stat(t, "reopen_failed"))
		}
		f.Close()
	})
}

// TestOneFile has two loggers of a path share the file, which is open as long as one of them is.
func TestOneFile(t *testing.T) {
	f := newFixture(t, 1<<20)
	synctest.Test(t, func(t *testing.T) {
		a, b := f.logger(t, "a%REQ(:path)%\n"), f.logger(t, "b%REQ(:path)%\n")
		if len(f.open) != 1 {
			t.Errorf("%d files are open", len(f.open))
		}
		a.Log(entry(0, "/1"))
		b.Log(entry(0, "/2"))
		a.Close()
		a.Close()
		synctest.Wait()
		if got := content(t, f.path); got != "" {
			t.Errorf("%q was written while the file has a logger", got)
		}
		b.Log(entry(0, "/3"))
		b.Close()
		synctest.Wait()
		if got := content(t, f.path); got != "a/1\nb/2\nb/3\n" {
			t.Errorf("got %q", got)
		}
		c := f.logger(t, "c%REQ(:path)%\n")
		c.Log(entry(0, "/4"))
		f.Close()
		if got := content(t, f.path); got != "a/1\nb/2\nb/3\nc/4\n" {
			t.Errorf("got %q at the end", got)
		}
		c.Close()
	})
}

// TestBound drops what does not fit and counts it.
func TestBound(t *testing.T) {
	f := newFixture(t, 2*maxBuffered)
	l := f.logger(t, strings.Repeat("x", 1<<10-1)+"\n")
	e := entry(0, "/")
	const more = 7
	for range maxBuffered>>10 + more {
		l.Log(e)
	}
	f.Close()
	if got := len(content(t, f.path)); got != maxBuffered {
		t.Errorf("%d bytes were written, want %d", got, maxBuffered)
	}
	if n := f.stat(t, "write_failed"); n != more {
		t.Errorf("write_failed is %d, want %d", n, more)
	}
}

// TestLines has several workers at it while the writer writes: every line is there, whole and in the order of its worker.
func TestLines(t *testing.T) {
	f := newFixture(t, 100)
	l := f.logger(t, "%REQ(:path)%\n")
	const lines = 5000
	var workers sync.WaitGroup
	for w := range testWorkers {
		workers.Go(func() {
			for i := range lines {
				l.Log(entry(w, fmt.Sprintf("%d %d %s", w, i, strings.Repeat("x", i%50))))
			}
		})
	}
	workers.Wait()
	f.Close()
	var next [testWorkers]int
	for _, line := range strings.Split(strings.TrimSuffix(content(t, f.path), "\n"), "\n") {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d", &w, &i); err != nil || i != next[w] || line != fmt.Sprintf("%d %d %s", w, i, strings.Repeat("x", i%50)) {
			t.Fatalf("line %q of worker %d, want number %d (%v)", line, w, next[w], err)
		}
		next[w]++
	}
	if next != [testWorkers]int{lines, lines} {
		t.Errorf("got %v lines", next)
	}
}

// TestWriteFails counts and goes on.
func TestWriteFails(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	f := newFixture(t, 1<<20)
	f.path = "/dev/full"
	f.logger(t, "x\n").Log(entry(0, "/"))
	f.Close()
	if failed, completed := f.stat(t, "write_failed"), f.stat(t, "write_completed"); failed != 1 || completed != 0 {
		t.Errorf("write_failed is %d, write_completed %d", failed, completed)
	}
}

func TestOpenErrors(t *testing.T) {
	f := newFixture(t, 1)
	fifo := f.path + ".fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []config.FileAccessLog{
		{Path: t.TempDir()}, {Path: filepath.Join(f.path, "none", "log")}, {Path: fifo}, {Path: f.path, Format: config.LogFormat{Text: "%NONE%"}},
	} {
		if _, err := f.Open(&c); err == nil {
			t.Errorf("%+v was opened", c)
		}
	}
	for _, path := range []string{config.StdoutPath, config.StderrPath} {
		l, err := f.Open(&config.FileAccessLog{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	f.Close()
	if _, err := os.Stdout.Stat(); err != nil {
		t.Errorf("standard output was closed: %v", err)
	}
}

func TestLogAllocates(t *testing.T) {
	f := newFixture(t, 1<<30)
	l := f.logger(t, config.DefaultLogFormat)
	e := entry(0, "/")
	e.UpstreamRemote = netip.MustParseAddrPort("10.0.0.1:80")
	const warm = 1000
	for range warm {
		l.Log(e)
	}
	shard := &f.open[f.path].shards[0]
	room := cap(shard.lines) - len(shard.lines)
	runs := room/(len(shard.lines)/warm) - 2
	if runs < 1 {
		shard.lines, runs = append(make([]byte, 0, 1<<20), shard.lines...), warm
	}
	if n := testing.AllocsPerRun(runs-1, func() { l.Log(e) }); n != 0 {
		t.Errorf("%v allocations per line", n)
	}
	f.Close()
}
