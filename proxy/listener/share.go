package listener

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// shares are the parts of all workers in a socket that they accept from together. It is woken workers that accept, most often the same
// one; they give each connection to the worker with the fewest, as steering does for TCP.
type shares struct {
	all  []Share
	left atomic.Int32 // shares that are not released
	pipe *pipe
}

// Share is a worker's part in a socket that all workers accept from. All methods may be called on nil, which stands for a socket of the
// worker's own, and do nothing then.
type Share struct {
	of   *shares
	open atomic.Int64 // connections, and those on their way here
	gone atomic.Bool  // it was released
	_    [lineSize]byte

	mu     sync.Mutex // guards the fields below
	handed []int      // descriptors of connections on their way here
	closed bool
}

func newShares(p *pipe, workers int) *shares {
	s := &shares{all: make([]Share, workers), pipe: p}
	s.left.Store(int32(workers))
	for i := range s.all {
		s.all[i].of = s
	}
	return s
}

// Opened counts a connection of the worker.
func (s *Share) Opened() {
	if s != nil {
		s.open.Add(1)
	}
}

// Closed uncounts a connection that Opened has counted.
func (s *Share) Closed() {
	if s != nil {
		s.open.Add(-1)
	}
}

// Fewest returns the worker that has the fewest connections, the share's own when no other has fewer.
func (s *Share) Fewest() (worker int) {
	var fewest *Share
	for i := range s.of.all {
		other := &s.of.all[i]
		if other.gone.Load() {
			continue
		}
		if fewest == nil || other.open.Load() < fewest.open.Load() || other == s && other.open.Load() == fewest.open.Load() {
			fewest, worker = other, i
		}
	}
	return worker
}

// Own reports whether the share is that of the worker.
func (s *Share) Own(worker int) bool { return s == &s.of.all[worker] }

// Hand gives a connection to the share of another worker, who is to be told to Take it. It reports false, and the caller keeps the
// descriptor, when that one accepts no more.
func (s *Share) Hand(worker, fd int) bool {
	to := &s.of.all[worker]
	to.mu.Lock()
	defer to.mu.Unlock()
	if to.closed {
		return false
	}
	to.handed = append(to.handed, fd)
	to.open.Add(1)
	return true
}

// Take returns the connections that were handed to the worker. They are not counted any more.
func (s *Share) Take() []int {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fds := s.handed
	s.handed = nil
	s.open.Add(int64(-len(fds)))
	return fds
}

// Release is to be called when the worker's socket is closed; connections may outlive it. Those that are on their way are closed. The
// last worker's closes the socket, and removes its file. Releasing twice does nothing.
func (s *Share) Release() {
	if s == nil || s.gone.Swap(true) {
		return
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, fd := range s.Take() {
		_ = unix.Close(fd)
	}
	if s.of.left.Add(-1) == 0 {
		s.of.pipe.leave()
	}
}
