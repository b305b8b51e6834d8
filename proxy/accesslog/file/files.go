// Package file writes access logs to files.
//
// Each worker adds its lines to a buffer of its own, and a goroutine per file writes the buffers: nobody waits for a disk, and what
// a disk cannot take is dropped and counted. The lines of a worker are in order, those of two workers need not be.
package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog/formatter"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// maxBuffered bounds what waits of one worker for one file, in bytes: some seconds' worth of a busy worker.
	maxBuffered = 4 << 20
	// maxKept bounds the capacity of a buffer that is kept for later, in bytes.
	maxKept = 256 << 10
	// minInterval keeps an interval of 0 from being a busy loop.
	minInterval = time.Millisecond
	// closeWait bounds the wait for the last writes: a pipe that nobody reads takes none.
	closeWait = 5 * time.Second
)

// Options are what Files need from outside. All are required.
type Options struct {
	// Workers is how many there are: Entry.Worker is less.
	Workers int
	// FlushInterval is how long lines wait at most, and FlushBytes how many bytes of one worker do not wait that long.
	FlushInterval time.Duration
	FlushBytes    int
	Stats         *stats.Scope // of stats.Filesystem
	Logger        *zap.Logger
}

// Files are the files of access logs, each open once whoever writes to it.
type Files struct {
	options Options
	running sync.WaitGroup

	mu   sync.Mutex // guards open and what is said so of a file
	open map[string]*file
}

// New returns Files without any.
func New(o Options) *Files {
	o.FlushInterval = max(o.FlushInterval, minInterval)
	return &Files{options: o, open: make(map[string]*file)}
}

// Open returns a Logger that writes to the file of c. It fails when the format or the file cannot be used.
func (f *Files) Open(c *config.FileAccessLog) (accesslog.Logger, error) {
	lines, err := formatter.Compile(&c.Format)
	if err != nil {
		return nil, err
	}
	to, err := f.use(c.Path)
	if err != nil {
		return nil, err
	}
	return &logger{files: f, file: to, formatter: lines}, nil
}

// OpenLines returns a writer of lines to the file of a path, which may be that of an access log too.
func (f *Files) OpenLines(path string) (*Lines, error) {
	to, err := f.use(path)
	if err != nil {
		return nil, err
	}
	return &Lines{files: f, file: to}, nil
}

// use returns the file of a path for one more logger.
func (f *Files) use(path string) (*file, error) {
	path = filepath.Clean(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	to := f.open[path]
	if to == nil {
		out, err := openPath(path)
		if err != nil {
			return nil, err
		}
		to = newFile(path, out, &f.options)
		f.open[path] = to
		f.running.Go(to.run)
	}
	to.loggers++
	return to, nil
}

// openPath opens a file to append to. A FIFO that nobody reads is an error and not a wait.
func openPath(path string) (*os.File, error) {
	switch path {
	case config.StdoutPath:
		return os.Stdout, nil
	case config.StderrPath:
		return os.Stderr, nil
	}
	out, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return out, nil
}

// Reopen opens all files by their paths again. Lines that were not written yet go there; one that cannot be opened stays in use.
func (f *Files) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var failed []error
	for path, to := range f.open {
		out, err := openPath(path)
		if err != nil {
			f.options.Stats.Inc(stats.FilesystemReopenFailed)
			failed = append(failed, err)
			continue
		}
		to.replace(out)
	}
	return errors.Join(failed...)
}

// Close writes what waits and closes all files.
func (f *Files) Close() {
	f.mu.Lock()
	for path, to := range f.open {
		close(to.quit)
		delete(f.open, path)
	}
	f.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); f.running.Wait() }()
	select {
	case <-done:
	case <-time.After(closeWait):
		f.options.Logger.Warn("an access log took too long to write: its last lines are lost")
	}
}

// release ends the use of a file by one logger.
func (f *Files) release(to *file) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if to.loggers--; to.loggers == 0 && f.open[to.path] == to {
		close(to.quit)
		delete(f.open, to.path)
	}
}

// logger is the access log of one configuration.
type logger struct {
	files     *Files
	file      *file
	formatter *formatter.Formatter
	closing   sync.Once
}

// Log implements accesslog.Logger.
func (l *logger) Log(e *accesslog.Entry) { l.file.add(l.formatter, e) }

// Close implements accesslog.Logger. What waits is written, in the background.
func (l *logger) Close() { l.closing.Do(func() { l.files.release(l.file) }) }

// Lines writes lines that are made elsewhere. Its methods may be called from any goroutine.
type Lines struct {
	files   *Files
	file    *file
	closing sync.Once
}

// WriteLine adds a line, which ends with a line feed and stays the caller's. It does not wait; what a disk cannot take is dropped
// and counted.
func (l *Lines) WriteLine(line []byte) { l.file.addLine(line) }

// Close ends the use of the file. What waits is written, in the background.
func (l *Lines) Close() { l.closing.Do(func() { l.files.release(l.file) }) }
