package inotify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// maxDirectories bounds the directories of a Watcher. Each takes about 1 KiB of memory that the kernel does not give back, and
// a user may have no more than that by default (fs.inotify.max_user_watches of older kernels).
const maxDirectories = 8192

// Watcher watches directories. Its methods may be called from any goroutine.
type Watcher struct {
	file  *os.File
	ended chan struct{} // closed when nothing is read any more

	mu          sync.Mutex // guards all below
	descriptor  int        // of the instance, valid while it is not closed
	closed      bool
	directories map[int32]*directory // by watch descriptor
}

// directory is what is watched in one directory. The kernel gives all of them one watch descriptor.
type directory struct {
	path    string
	watches []*Watch
}

// Watch tells of moves to one file, or of all moves into a directory.
type Watch struct {
	watcher    *Watcher
	descriptor int32
	name       string // empty for all
	moved      chan struct{}
}

// New returns a Watcher that runs until it is closed.
func New() (*Watcher, error) {
	descriptor, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w (the limit is fs.inotify.max_user_instances)", err)
	}
	w := &Watcher{
		file:        os.NewFile(uintptr(descriptor), "inotify"),
		ended:       make(chan struct{}),
		descriptor:  descriptor,
		directories: make(map[int32]*directory),
	}
	go w.read()
	return w, nil
}

// Close ends all watches, and returns when nothing of w is left running. Their channels stay silent.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	_ = w.file.Close() // it was only read
	<-w.ended
}

// File watches for files that are moved to path. The directory of path must exist.
func (w *Watcher) File(path string) (*Watch, error) {
	name := filepath.Base(path)
	if name == "." || name == string(filepath.Separator) {
		return nil, fmt.Errorf("inotify: %q is not the path of a file", path)
	}
	return w.add(filepath.Dir(path), name)
}

// Directory watches for anything that is moved into path, a directory, or renamed in it.
func (w *Watcher) Directory(path string) (*Watch, error) { return w.add(path, "") }

func (w *Watcher) add(path, name string) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("inotify: the watcher is closed")
	}
	if len(w.directories) >= maxDirectories {
		return nil, fmt.Errorf("inotify: directory %q is one too many, at most %d are watched", path, maxDirectories)
	}
	added, err := unix.InotifyAddWatch(w.descriptor, path, unix.IN_MOVED_TO|unix.IN_MOVE_SELF|unix.IN_ONLYDIR)
	if err != nil {
		return nil, fmt.Errorf("inotify: directory %q: %w", path, err)
	}
	watch := &Watch{watcher: w, descriptor: int32(added), name: name, moved: make(chan struct{}, 1)}
	d := w.directories[watch.descriptor]
	if d == nil {
		d = &directory{path: path}
		w.directories[watch.descriptor] = d
	}
	d.watches = append(d.watches, watch)
	return watch, nil
}

// Moved receives after one or more moves. One that nobody waits for is kept, and further ones are the same.
func (watch *Watch) Moved() <-chan struct{} { return watch.moved }

// Close ends the watch.
func (watch *Watch) Close() {
	w := watch.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.directories[watch.descriptor]
	if d == nil {
		return
	}
	for i, other := range d.watches {
		if other == watch {
			d.watches = append(d.watches[:i:i], d.watches[i+1:]...)
			break
		}
	}
	if len(d.watches) > 0 {
		return
	}
	delete(w.directories, watch.descriptor)
	if !w.closed {
		// It fails when the directory is gone, and then there is nothing to end.
		_, _ = unix.InotifyRmWatch(w.descriptor, uint32(watch.descriptor))
	}
}

func (watch *Watch) tell() {
	select {
	case watch.moved <- struct{}{}:
	default:
	}
}
