package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// garbage is made in pieces of 64 KiB.
var garbage []byte

func makeGarbage(bytes int) {
	for range bytes >> 16 {
		garbage = make([]byte, 1<<16)
	}
}

func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

func (c *collector) isOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

// settings returns GOGC and the limit of memory that are in force.
func gcSettings() (percent int, limit int64) {
	percent = debug.SetGCPercent(-1)
	debug.SetGCPercent(percent)
	return percent, debug.SetMemoryLimit(-1)
}

func TestCollectorIsPutOff(t *testing.T) {
	percent, limit := gcSettings()
	c := &collector{room: 256 << 20}
	runtime.GC()
	before := collections()
	taken := c.take(largeResponse)
	other := c.take(largeResponse)
	makeGarbage(128 << 20) // the heap of a test is some ten
	if n := collections() - before; n != 0 {
		t.Errorf("%d collections while a response was taken", n)
	}
	taken()
	c.end()
	if !c.isOff() {
		t.Error("it goes on though another response is being taken")
	}
	other()
	c.end()
	if c.isOff() {
		t.Error("it does not go on")
	}
	if p, l := gcSettings(); p != percent || l != limit {
		t.Errorf("GOGC %d and limit %d after, want %d and %d", p, l, percent, limit)
	}
}

// TestCollectorRunsOutOfRoom makes more garbage than there is room for.
func TestCollectorRunsOutOfRoom(t *testing.T) {
	percent, limit := gcSettings()
	c := &collector{room: 16 << 20}
	runtime.GC()
	defer c.take(largeResponse)()
	for end := time.Now().Add(time.Minute); c.isOff(); {
		makeGarbage(1 << 20)
		if time.Now().After(end) {
			t.Fatal("no collection")
		}
	}
	if p, l := gcSettings(); p != percent || l != limit {
		t.Errorf("GOGC %d and limit %d after, want %d and %d", p, l, percent, limit)
	}
}

func TestCollectorLeftAlone(t *testing.T) {
	c := &collector{room: 1 << 20}
	defer c.take(largeResponse - 1)()
	if c.isOff() {
		t.Error("a small response puts it off")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer c.take(largeResponse)()
	if c.isOff() {
		t.Error("it is put off, though GOGC is off")
	}
}

// TestCollectorGoesOn waits for the last response to have been the last.
func TestCollectorGoesOn(t *testing.T) {
	c := &collector{room: 1 << 20}
	c.take(largeResponse)()
	for end := time.Now().Add(time.Minute); c.isOff(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not go on")
		}
	}
}
