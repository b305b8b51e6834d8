// Package socketfile is about the files of Unix domain sockets that are listened on: what is there before, who may use them, and their
// end. Abstract names ('@' first, unix(7)) have no file: for them every function does nothing.
package socketfile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Abstract reports whether path is an abstract name.
func Abstract(path string) bool { return path != "" && path[0] == '@' }

// Clear removes the socket that somebody has left at path, so that it can be bound. As with Envoy that may be one that still listens:
// who starts last has the path. What is not a socket is an error, and stays.
func Clear(path string) error {
	if Abstract(path) {
		return nil
	}
	var at unix.Stat_t
	switch err := unix.Lstat(path, &at); {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("stat: %w", err)
	case at.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return errors.New("there is a file that is not a socket")
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unlink: %w", err)
	}
	return nil
}

// Restrict has the file that fd is about to be bound to come into being with no more permissions than mode, whatever the umask is: the
// kernel takes them from the socket. A mode of 0 restricts nothing.
func Restrict(fd int, mode uint32) error {
	if mode == 0 {
		return nil
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return fmt.Errorf("fchmod %#o: %w", mode, err)
	}
	return nil
}

// Allow gives the file of a bound socket the permissions that mode has and the umask has taken. A mode of 0 leaves it as it is.
func Allow(path string, mode uint32) error {
	if mode == 0 || Abstract(path) {
		return nil
	}
	if err := unix.Chmod(path, mode); err != nil {
		return fmt.Errorf("chmod %#o: %w", mode, err)
	}
	return nil
}

// File is the file of a bound socket. The zero value is none.
type File struct {
	path          string
	device, inode uint64
}

// Of returns the file at path, to which a socket was just bound.
func Of(path string) (File, error) {
	if Abstract(path) {
		return File{}, nil
	}
	var at unix.Stat_t
	if err := unix.Lstat(path, &at); err != nil {
		return File{}, fmt.Errorf("stat: %w", err)
	}
	return File{path: path, device: uint64(at.Dev), inode: at.Ino}, nil
}

// Remove removes the file, unless another has taken its place: it may be that of the process that comes after this one.
func (f File) Remove() {
	if f.path == "" {
		return
	}
	var at unix.Stat_t
	if unix.Lstat(f.path, &at) == nil && uint64(at.Dev) == f.device && at.Ino == f.inode {
		_ = unix.Unlink(f.path)
	}
}

// Listen listens at path, for a server that is not of the data plane. Closing the listener removes the file.
func Listen(path string, mode uint32) (net.Listener, error) {
	if err := Clear(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var restricted error
		err := c.Control(func(fd uintptr) { restricted = Restrict(int(fd), mode) })
		return errors.Join(err, restricted)
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if unlinks, ok := l.(*net.UnixListener); ok {
		unlinks.SetUnlinkOnClose(false) // it would whoever the file is of
	}
	file, err := Of(path)
	if err := errors.Join(err, Allow(path, mode)); err != nil {
		file.Remove()
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &listener{l, file}, nil
}

// listener removes its file when it is closed.
type listener struct {
	net.Listener
	file File
}

func (l *listener) Close() error {
	l.file.Remove()
	return l.Listener.Close()
}
