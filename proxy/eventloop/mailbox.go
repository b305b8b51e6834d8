package eventloop

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mailbox is how other goroutines reach a loop: a list and an eventfd that wakes the loop when the list was empty. The loop takes
// no lock for it: who posts may lose its processor at any moment, most likely when it has just woken the loop.
// The list is bounded by its writers: each of the control plane's goroutines waits for what it posted.
type mailbox struct {
	fd int32
	// posted is the newest posting, nil when there is none, &m.end when there will be none any more.
	posted atomic.Pointer[posting]
	end    posting

	mu     sync.Mutex // guards fd's being open, among those who ring and the end of the loop
	closed bool
}

// posting is a function that waits to be run, before it those that wait for longer.
type posting struct {
	run    func()
	before *posting
}

func (m *mailbox) open(epoll int) error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	m.fd = int32(fd)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: m.fd}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// ring wakes the loop.
func (m *mailbox) ring() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	one := binary.NativeEndian.AppendUint64(nil, 1)
	// The only possible failure is a full counter, and then the loop is being woken already.
	_, _ = unix.Write(int(m.fd), one)
}

// drain takes the wake-up off the eventfd.
func (m *mailbox) drain() {
	var count [8]byte
	_, _ = unix.Read(int(m.fd), count[:])
}

// pending says whether something is posted.
func (m *mailbox) pending() bool {
	newest := m.posted.Load()
	return newest != nil && newest != &m.end
}

func (m *mailbox) put(f func()) bool {
	p := &posting{run: f}
	for {
		newest := m.posted.Load()
		if newest == &m.end {
			return false
		}
		p.before = newest
		if !m.posted.CompareAndSwap(newest, p) {
			continue
		}
		if newest == nil { // p is the loop's from here on
			m.ring()
		}
		return true
	}
}

// take returns what is posted, the oldest first. It is called by the loop alone.
func (m *mailbox) take() (oldest *posting) {
	for p := m.posted.Swap(nil); p != nil; {
		p, p.before, oldest = p.before, oldest, p
	}
	return oldest
}

func (m *mailbox) close() {
	m.posted.Store(&m.end)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	_ = unix.Close(int(m.fd))
}

// Post has f run on the loop's thread, in its next turn, outside any task. It may be called from any goroutine. It
// returns false, and f never runs, when the loop has ended; an f that is still queued when the loop ends does not run.
func (l *Loop) Post(f func()) bool { return l.mailbox.put(f) }

func (l *Loop) runPosted() {
	for p := l.mailbox.take(); p != nil; p = p.before {
		l.guard(p.run)
	}
}

// guard runs f and reports a panic instead of passing it on.
func (l *Loop) guard(f func()) {
	defer l.recovered()
	f()
}

// recovered is deferred around whatever is not ours and runs outside a task.
func (l *Loop) recovered() {
	if v := recover(); v != nil {
		l.onPanic(v, debug.Stack())
	}
}
