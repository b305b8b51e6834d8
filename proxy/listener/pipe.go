package listener

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
	"github.com/penguintechinc/marchproxy-alb/proxy/listener/socketfile"
)

// pipe is a listening Unix domain socket. SO_REUSEPORT does not exist for these, so that workers accept from one queue, each by a
// duplicate of its descriptor. It outlives Sockets when others on the same path take their place.
type pipe struct {
	path string
	file socketfile.File

	mu    sync.Mutex // guards the fields below
	fd    int        // what duplicates are made of, -1 when the last user has gone
	users int        // Sockets some of whose workers accept
}

// newPipe binds a path. It has one user.
func newPipe(a config.ListenAddress) (*pipe, error) {
	if err := socketfile.Clear(a.Path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a.Path, err)
	}
	fd, err := eventloop.ListenPath(a.Path, pipeOptions(&a))
	if err != nil {
		return nil, err
	}
	file, err := socketfile.Of(a.Path)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen on %s: %w", a.Path, err)
	}
	return &pipe{path: a.Path, file: file, fd: fd, users: 1}, nil
}

// pipeOptions returns what the settings of a Unix domain socket are to the loop.
func pipeOptions(a *config.ListenAddress) eventloop.ListenOptions {
	o := eventloop.ListenOptions{Backlog: backlog(&a.SocketSettings)}
	for state := range o.Set {
		o.Set[state] = func(fd int) error { return applyOptions(&a.SocketSettings, fd, config.SocketState(state)) }
	}
	prebind, bound := o.Set[config.SocketPrebind], o.Set[config.SocketBound]
	o.Set[config.SocketPrebind] = func(fd int) error { return errors.Join(socketfile.Restrict(fd, a.Mode), prebind(fd)) }
	o.Set[config.SocketBound] = func(fd int) error { return errors.Join(socketfile.Allow(a.Path, a.Mode), bound(fd)) }
	return o
}

// join counts another user, unless the last one has gone.
func (p *pipe) join() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == 0 {
		return false
	}
	p.users++
	return true
}

// leave closes the socket and removes its file when the last user goes.
func (p *pipe) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	p.file.Remove()
	_ = unix.Close(p.fd)
	p.fd = -1
}

// duplicate returns descriptors of the socket, one per worker. The caller is one of its users.
func (p *pipe) duplicate(workers int) ([]int, error) {
	fds := make([]int, 0, workers)
	for range workers {
		fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
			return nil, fmt.Errorf("listen on %s: fcntl F_DUPFD_CLOEXEC: %w", p.path, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// BindPath is Bind for a Unix domain socket. With before, which are sockets on the same path, they go on with what waits to be accepted:
// there is no moment at which a client would be refused. What a leaves out is then as before.
func BindPath(a config.ListenAddress, workers int, before *Sockets) (*Sockets, error) {
	var p *pipe
	if before != nil && before.pipe != nil && before.pipe.join() {
		p = before.pipe
		if err := p.change(&a.SocketSettings); err != nil {
			p.leave()
			return nil, err
		}
	} else {
		var err error
		if p, err = newPipe(a); err != nil {
			return nil, err
		}
	}
	fds, err := p.duplicate(workers)
	if err != nil {
		p.leave()
		return nil, err
	}
	return &Sockets{asked: a, fds: fds, pipe: p, shares: newShares(p, workers)}, nil
}

// change gives the socket other settings, but for its mode.
func (p *pipe) change(s *config.SocketSettings) error {
	for _, state := range [...]config.SocketState{config.SocketPrebind, config.SocketBound, config.SocketListening} {
		if err := applyOptions(s, p.fd, state); err != nil {
			return fmt.Errorf("listen on %s: %w", p.path, err)
		}
	}
	if s.Backlog == 0 {
		return nil
	}
	if err := unix.Listen(p.fd, backlog(s)); err != nil {
		return fmt.Errorf("listen on %s: listen: %w", p.path, err)
	}
	return nil
}

// Settle gives the file of a Unix domain socket the mode that was asked for. It comes when the sockets are in force: those before
// had the same file.
func (s *Sockets) Settle() error {
	if s.pipe == nil {
		return nil
	}
	if err := socketfile.Allow(s.pipe.path, s.asked.Mode); err != nil {
		return fmt.Errorf("listen on %s: %w", s.pipe.path, err)
	}
	return nil
}
