package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"
)

const (
	// largeResponse is how many bytes of resources make a response large: taking fewer makes less garbage than an idle proxy's
	// heap has room for.
	largeResponse = 256 << 10
	// maxDeferred bounds the garbage that is let be while large responses are taken. 10,000 clusters, 10,000 routes and 50,000
	// endpoints make less.
	maxDeferred = 384 << 20
	// deferredShare is which part of the memory that the process may have garbage may take at most.
	deferredShare = 4
	// lastResponse is after how long without a large response the one before was the last one. A push is several, and the control
	// plane makes the next one meanwhile.
	lastResponse = 250 * time.Millisecond
	// memoryMax is the limit of a container, under cgroup v2.
	memoryMax = "/sys/fs/cgroup/memory.max"
)

// collector puts Go's garbage collector off while large responses of a control plane are taken. A push of ten thousand clusters makes
// the heap twenty times as large within a second, and the collector would mark it anew at each doubling, beside the workers: that is
// a third of the push's time, and it stops requests for up to 10 ms each time. Once it is over one marking does for all.
//
// What is put off is bounded by room: the first collection, which Go begins when that is reached, ends it.
type collector struct {
	room int64 // bytes

	mu     sync.Mutex
	taking int         // large responses
	off    bool        // it is put off
	hold   int         // how often it was put off, to tell which one a collection ends
	over   *time.Timer // ends it; nil before the first
	// percent and limit are what was set before.
	percent int
	limit   int64
}

func newCollector() *collector {
	room := int64(maxDeferred)
	if text, err := os.ReadFile(memoryMax); err == nil {
		if limit, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil { // or "max"
			room = min(room, limit/deferredShare)
		}
	}
	return &collector{room: room}
}

// take puts collections off when a response with so many bytes of resources is large, until it is taken and no other follows.
func (c *collector) take(bytes int) (taken func()) {
	if bytes < largeResponse {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taking++
	if !c.off {
		c.putOff()
	}
	return c.taken
}

func (c *collector) taken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taking--
	if c.over == nil {
		c.over = time.AfterFunc(lastResponse, c.end)
		return
	}
	c.over.Reset(lastResponse)
}

// putOff is called with the lock held.
func (c *collector) putOff() {
	percent := debug.SetGCPercent(-1)
	if percent < 0 {
		return // GOGC=off: it is put off for good already
	}
	c.off, c.percent = true, percent
	c.hold++
	c.limit = debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(c.limit, withoutCollection()+c.room))
	hold := c.hold
	runtime.AddCleanup(&collected{new(byte)}, c.collected, hold)
}

// collected is garbage from the beginning, so that the first collection finds it. The pointer keeps it out of the blocks that Go
// puts several small values in.
type collected struct{ _ *byte }

func (c *collector) collected(hold int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hold == hold && c.off {
		c.resume()
	}
}

// end has what was put off done at once. Go itself would begin with the next that is allocated, which may be the next change of
// the configuration, and then that would be late.
func (c *collector) end() {
	c.mu.Lock()
	ended := c.taking == 0 && c.off
	if ended {
		c.resume()
	}
	c.mu.Unlock()
	if ended {
		runtime.GC()
	}
}

// resume is called with the lock held, while it is off.
func (c *collector) resume() {
	c.off = false
	debug.SetMemoryLimit(c.limit)
	debug.SetGCPercent(c.percent)
}

// withoutCollection returns how many bytes the process may take when collections are not put off: what is not heap, and the heap at
// which the next one is due with the default of GOGC, twice what the last one left. What is garbage now does not count, or each push
// of many would be given more room than the one before.
func withoutCollection() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) int64 { return int64(min(samples[i].Value.Uint64(), math.MaxInt64/4)) }
	return value(0) - value(1) - value(2) - value(3) - value(4) + 2*value(5)
}
