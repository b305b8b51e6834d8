package eventloop

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mailbox is how other goroutines reach a loop: a queue and an eventfd that wakes the loop when the queue was empty.
// The queue is bounded by its writers: each of the control plane's goroutines waits for what it posted.
type mailbox struct {
	fd      int32
	pending atomic.Bool // the queue is not empty

	mu     sync.Mutex // guards the fields below and fd's being open
	queue  []func()
	closed bool
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
	m.ringLocked()
}

func (m *mailbox) ringLocked() {
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

func (m *mailbox) put(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, f)
	if !m.pending.Swap(true) {
		m.ringLocked()
	}
	return true
}

func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue := m.queue
	m.queue = nil
	m.pending.Store(false)
	return queue
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.queue = true, nil
	m.pending.Store(false)
	_ = unix.Close(int(m.fd))
}

// Post has f run on the loop's thread, in its next turn, outside any task. It may be called from any goroutine. It
// returns false, and f never runs, when the loop has ended; an f that is still queued when the loop ends does not run.
func (l *Loop) Post(f func()) bool { return l.mailbox.put(f) }

func (l *Loop) runPosted() {
	for _, f := range l.mailbox.take() {
		l.guard(f)
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
