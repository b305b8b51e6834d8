package inotify

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for the kernel before it fails.
const patience = 10 * time.Second

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func wantMove(t *testing.T, what string, w *Watch) {
	t.Helper()
	select {
	case <-w.Moved():
	case <-time.After(patience):
		t.Fatalf("%s: nothing was told", what)
	}
}

func wantNone(t *testing.T, what string, w *Watch) {
	t.Helper()
	select {
	case <-w.Moved():
		t.Fatalf("%s: a move was told", what)
	default:
	}
}

func watchOf(t *testing.T, w *Watch, err error) *Watch {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestMovesAndNotWrites orders events by a last one that must be told: the kernel keeps the order of events of one instance.
func TestMovesAndNotWrites(t *testing.T) {
	dir := t.TempDir()
	path, other, last := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "last")
	w := newWatcher(t)
	one, err := w.File(path)
	file := watchOf(t, one, err)
	one, err = w.File(path)
	second := watchOf(t, one, err)
	one, err = w.File(last)
	end := watchOf(t, one, err)
	one, err = w.Directory(dir)
	whole := watchOf(t, one, err)

	write(t, path)
	write(t, other)
	rename(t, other, filepath.Join(dir, "c"))
	wantMove(t, "move of another file", whole)
	write(t, other)
	rename(t, other, last)
	wantMove(t, "last", end)
	wantNone(t, "writes and moves of others", file)

	write(t, other)
	rename(t, other, path)
	wantMove(t, "move to the file", file)
	wantMove(t, "second watch of it", second)
	wantMove(t, "directory", whole)

	file.Close()
	write(t, other)
	rename(t, other, path)
	wantMove(t, "after the other watch was closed", second)
	wantNone(t, "a closed watch", file)
}

// TestSymbolicLinkSwap is how Kubernetes replaces the files of a volume.
func TestSymbolicLinkSwap(t *testing.T) {
	dir := t.TempDir()
	w := newWatcher(t)
	one, err := w.Directory(dir)
	whole := watchOf(t, one, err)
	for i := range 3 {
		data := fmt.Sprintf("..version%d", i)
		if err := os.Mkdir(filepath.Join(dir, data), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(data, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		wantNone(t, "before the swap", whole)
		rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
		wantMove(t, data, whole)
	}
}

func TestDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(t)
	one, err := w.File(filepath.Join(dir, "a"))
	file := watchOf(t, one, err)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	wantMove(t, "end of the directory", file)
	file.Close()
	if n := len(w.directories); n != 0 {
		t.Errorf("%d directories are still watched", n)
	}
}

func TestLastCloseEndsTheWatchOfTheKernel(t *testing.T) {
	dir := t.TempDir()
	w := newWatcher(t)
	for range 3 {
		one, err := w.Directory(dir)
		first := watchOf(t, one, err)
		one, err = w.File(filepath.Join(dir, "a"))
		second := watchOf(t, one, err)
		first.Close()
		second.Close()
		second.Close()
		if n := len(w.directories); n != 0 {
			t.Fatalf("%d directories are still watched", n)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWatcher(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file)
	for _, tt := range []struct {
		name string
		add  func() (*Watch, error)
		want string
	}{
		{"missing", func() (*Watch, error) { return w.Directory(filepath.Join(dir, "none")) }, "no such file or directory"},
		{"not a directory", func() (*Watch, error) { return w.Directory(file) }, "not a directory"},
		{"no name", func() (*Watch, error) { return w.File("/") }, "not the path of a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.add(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
	closed, err := New()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := closed.Directory(dir); err == nil {
		t.Error("a closed watcher takes a watch")
	}
}

func TestOverflowTellsAll(t *testing.T) {
	dir := t.TempDir()
	w := newWatcher(t)
	one, err := w.File(filepath.Join(dir, "a"))
	file := watchOf(t, one, err)
	w.handle(event{descriptor: -1, mask: unix.IN_Q_OVERFLOW})
	wantMove(t, "lost events", file)
}

// TestEveryTruncationOfAnEvent holds that a part of an event is none.
func TestEveryTruncationOfAnEvent(t *testing.T) {
	whole := make([]byte, unix.SizeofInotifyEvent+16)
	binary.NativeEndian.PutUint32(whole, 7)
	binary.NativeEndian.PutUint32(whole[4:], unix.IN_MOVED_TO)
	binary.NativeEndian.PutUint32(whole[12:], 16)
	copy(whole[unix.SizeofInotifyEvent:], "name")
	for n := range len(whole) {
		if _, _, ok := nextEvent(whole[:n:n]); ok {
			t.Errorf("%d of %d bytes are an event", n, len(whole))
		}
	}
	e, rest, ok := nextEvent(append(whole, 1, 2))
	if !ok || e.descriptor != 7 || e.mask != unix.IN_MOVED_TO || string(e.name) != "name" || len(rest) != 2 {
		t.Errorf("event %+v, rest %v, ok %v", e, rest, ok)
	}
}

func FuzzNextEvent(f *testing.F) {
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, buffer []byte) {
		for rest := buffer; ; {
			e, next, ok := nextEvent(rest)
			if !ok {
				return
			}
			if len(next) >= len(rest) || len(e.name) > len(rest) {
				t.Fatalf("an event of %d bytes leaves %d of %d", len(e.name), len(next), len(rest))
			}
			rest = next
		}
	})
}
