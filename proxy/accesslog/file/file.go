package file

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// file is an open file and the lines that wait for it.
type file struct {
	path    string
	options *Options
	loggers int // guarded by Files.mu
	shards  []shard
	wake    chan struct{} // has room for one
	quit    chan struct{} // closed by who takes the file out of Files.open

	next atomic.Pointer[os.File] // to be used instead of out

	// What follows is the writer's.
	out   *os.File
	torn  bool // the last write ended within a line
	fails bool // the last write failed
}

// shard is what waits of one worker. Its lock is free but for the moment in which the writer takes the lines over.
type shard struct {
	mu      sync.Mutex
	lines   []byte
	spare   []byte // empty, for when lines are taken over
	count   uint64 // lines that were added
	dropped uint64

	_ [64]byte // workers do not share a cache line
}

func newFile(path string, out *os.File, o *Options) *file {
	return &file{
		path: path, options: o, shards: make([]shard, o.Workers), out: out,
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
}

// add adds the line of an entry.
func (f *file) add(lines *formatter.Formatter, e *accesslog.Entry) {
	if f.shards[e.Worker].add(lines, e) >= f.options.FlushBytes {
		f.wakeWriter()
	}
}

// addLine adds a line that is no worker's.
func (f *file) addLine(line []byte) {
	if f.shards[0].addLine(line) >= f.options.FlushBytes {
		f.wakeWriter()
	}
}

func (f *file) wakeWriter() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// add returns how many bytes wait.
func (s *shard) add(lines *formatter.Formatter, e *accesslog.Entry) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.lines)
	s.lines = lines.Append(s.lines, e)
	return s.bound(before)
}

// addLine returns how many bytes wait.
func (s *shard) addLine(line []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.lines)
	s.lines = append(s.lines, line...)
	return s.bound(before)
}

// bound takes the line after the first before bytes out again when it is too much, and returns how many bytes wait. The caller
// holds mu.
func (s *shard) bound(before int) int {
	if len(s.lines) > maxBuffered {
		s.lines = s.lines[:before]
		s.dropped++
		return before
	}
	s.count++
	return len(s.lines)
}

// take returns the lines that wait, which are the caller's until it gives them back.
func (s *shard) take() (lines []byte, count, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, count, dropped = s.lines, s.count, s.dropped
	s.lines, s.spare, s.count, s.dropped = s.spare, nil, 0, 0
	return lines, count, dropped
}

// give takes back what take has returned.
func (s *shard) give(lines []byte) {
	if cap(lines) > maxKept {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = lines[:0]
}

// run writes until the file is closed.
func (f *file) run() {
	ticker := time.NewTicker(f.options.FlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-f.wake:
			f.flush()
		case <-ticker.C:
			if f.flush() {
				f.options.Stats.Inc(stats.FilesystemFlushedByTimer)
			}
		case <-f.quit:
			f.flush()
			closeFile(f.next.Swap(nil))
			closeFile(f.out)
			return
		}
	}
}

// replace has the writer go on with out.
func (f *file) replace(out *os.File) {
	closeFile(f.next.Swap(out))
	f.wakeWriter()
}

// flush writes what waits and reports whether there was anything.
func (f *file) flush() (any bool) {
	if next := f.next.Swap(nil); next != nil {
		closeFile(f.out)
		f.out, f.torn = next, false
	}
	for i := range f.shards {
		s := &f.shards[i]
		lines, count, dropped := s.take()
		f.options.Stats.Add(stats.FilesystemWriteBuffered, count)
		f.options.Stats.Add(stats.FilesystemWriteFailed, dropped)
		if len(lines) > 0 {
			any = true
			f.write(lines)
		}
		s.give(lines)
	}
	return any
}

func (f *file) write(lines []byte) {
	if f.torn {
		_, err := f.out.Write([]byte{'\n'})
		f.torn = err != nil
	}
	n, err := f.out.Write(lines)
	if err == nil {
		f.fails = false
		f.options.Stats.Inc(stats.FilesystemWriteCompleted)
		return
	}
	f.torn = f.torn || n > 0 && lines[n-1] != '\n'
	f.options.Stats.Inc(stats.FilesystemWriteFailed)
	if !f.fails {
		f.options.Logger.Warn("access log could not be written", zap.String("path", f.path), zap.Error(err))
	}
	f.fails = true
}

// closeFile closes what is not the process's own.
func closeFile(f *os.File) {
	if f != nil && f != os.Stdout && f != os.Stderr {
		_ = f.Close()
	}
}
