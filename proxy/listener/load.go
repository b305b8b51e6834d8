package listener

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lineSize is the size of a cache line on amd64 and arm64. Each worker writes to a line of its own.
const lineSize = 64

// loadHead is what the steering program keeps for all workers of a listener. Only the program writes it, but for the
// beginning.
type loadHead struct {
	markedAt atomic.Uint64 // when the rows were marked last, in nanoseconds of CLOCK_MONOTONIC
	next     atomic.Uint64 // the worker that goes first among those with the same load
	_        [lineSize - 16]byte
}

// loadRow is what is known of one worker's connections. Each field has one writer: the worker, or the program.
//
// The load is open + reserved, where reserved = assigned - max(settled, expired), 0 when that is negative. A SYN that the
// program gives to the worker counts in assigned at once, so that the next one goes elsewhere long before the worker has
// accepted the first. Accepting it counts it in open and in settled; so does accepting one that its client has reset in the
// meantime, which Linux hands out all the same. A SYN that nothing follows (a scan, a flood, a full accept queue) would be
// reserved for ever; expired sees to it that no reservation outlives two reservationSpan, and so the load cannot drift. Nor
// can it drift the other way: settled never goes beyond assigned, whatever connections come that no SYN was counted for,
// such as those of SYN cookies and those that the kernel's hash placed.
type loadRow struct {
	open     atomic.Uint64 // by the worker: connections that are open
	settled  atomic.Uint64 // by the worker: how many of assigned are not waited for any more; at most assigned
	assigned atomic.Uint64 // by the program: SYNs given to the worker, ever
	marked   atomic.Uint64 // by the program: assigned at the last mark
	expired  atomic.Uint64 // by the program: assigned at the mark before
	gone     atomic.Uint64 // by the program: 1 when the worker's socket could not be selected
	_        [lineSize - 48]byte
}

// loads is the memory that a listener's workers share with its steering program. It is unmapped when all rows are released.
type loads struct {
	memory []byte
	inUse  atomic.Int32 // rows that are not released
}

// loadsSize returns the size of the memory for so many workers.
func loadsSize(workers int) int { return lineSize * (1 + workers) }

// mapLoads maps the value of the array map fd, which must have been created with BPF_F_MMAPABLE (Linux 5.5). The mapping
// keeps the map alive when fd is closed.
func mapLoads(fd, workers int) (*loads, error) {
	memory, err := unix.Mmap(fd, 0, loadsSize(workers), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the loads of %d workers: mmap: %w", workers, err)
	}
	l := &loads{memory: memory}
	l.inUse.Store(int32(workers))
	// So that not all listeners give their first connection to the same worker.
	l.head().next.Store(rand.Uint64N(uint64(workers)))
	return l, nil
}

// The memory begins on a page, hence every head and row on a line, and lies outside of what the garbage collector moves or
// frees: pointers into it are good until it is unmapped.

func (l *loads) head() *loadHead { return (*loadHead)(unsafe.Pointer(&l.memory[0])) }

func (l *loads) row(worker int) *loadRow {
	return (*loadRow)(unsafe.Pointer(&l.memory[lineSize*(1+worker)]))
}

// release lets go of one row.
func (l *loads) release() {
	if l.inUse.Add(-1) == 0 {
		l.unmap()
	}
}

func (l *loads) unmap() {
	_ = unix.Munmap(l.memory)
	l.memory = nil
}

// Load tells the kernel how many connections of a listener are open on one worker. It belongs to that worker's thread. No
// method makes a system call, but for the last Release of a listener's Loads. All methods may be called on nil, which
// stands for a listener that is not steered, and on a Load that was released: they do nothing then.
type Load struct {
	of  *loads
	row *loadRow
}

// Opened counts a connection that was accepted.
func (l *Load) Opened() {
	if l == nil || l.row == nil {
		return
	}
	r := l.row
	r.open.Store(r.open.Load() + 1)
	r.settled.Store(min(max(r.settled.Load(), r.expired.Load())+1, r.assigned.Load()))
}

// Closed uncounts a connection that Opened has counted.
func (l *Load) Closed() {
	if l == nil || l.row == nil {
		return
	}
	l.row.open.Store(l.row.open.Load() - 1)
}

// Release gives the memory back. It is to be called when the worker's socket is closed; connections may outlive it.
func (l *Load) Release() {
	if l == nil || l.row == nil {
		return
	}
	l.row = nil
	l.of.release()
}
