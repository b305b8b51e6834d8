package http2

import (
	"math/rand/v2"
	"testing"
)

// TestStreamTable compares a table with a map while streams come and go.
func TestStreamTable(t *testing.T) {
	var table streamTable
	want := make(map[uint32]*Stream)
	random := rand.New(rand.NewPCG(1, 2))
	for id := uint32(1); id < 20_000; id += 2 {
		s := &Stream{id: id}
		table.add(s)
		want[id] = s
		for other := range want { // a random one
			if random.IntN(100) < 48 {
				table.remove(want[other])
				delete(want, other)
			}
			break
		}
		if table.count != len(want) {
			t.Fatalf("%d streams, want %d", table.count, len(want))
		}
	}
	for id := range uint32(20_000) {
		if got := table.find(id); got != want[id] {
			t.Fatalf("stream %d is %v, want %v", id, got, want[id])
		}
	}
	seen := make(map[*Stream]int)
	table.each(func(s *Stream) { seen[s]++ })
	for id, s := range want {
		if seen[s] != 1 {
			t.Errorf("stream %d was visited %d times", id, seen[s])
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d streams were visited, want %d", len(seen), len(want))
	}
}

// TestStreamTableEachRemoves visits every stream once though each is removed when it is.
func TestStreamTableEachRemoves(t *testing.T) {
	var table streamTable
	const n = 1000
	for i := range uint32(n) {
		table.add(&Stream{id: 2*i + 1})
	}
	visited := 0
	table.each(func(s *Stream) {
		visited++
		table.remove(s)
	})
	if visited != n || table.count != 0 {
		t.Errorf("%d of %d streams were visited, %d are left", visited, n, table.count)
	}
}

// TestStreamTableSize keeps a small table when all streams have gone, and lets go of a large one.
func TestStreamTableSize(t *testing.T) {
	for _, c := range []struct{ streams, buckets, idle int }{
		{1, minBuckets, minBuckets},
		{minBuckets, minBuckets, minBuckets},
		{minBuckets + 1, 2 * minBuckets, 2 * minBuckets},
		{maxIdleBuckets, maxIdleBuckets, maxIdleBuckets},
		{maxIdleBuckets + 1, 2 * maxIdleBuckets, 0},
	} {
		var table streamTable
		for i := range uint32(c.streams) {
			table.add(&Stream{id: 2*i + 1})
		}
		if got := len(table.buckets); got != c.buckets {
			t.Errorf("%d streams: %d buckets, want %d", c.streams, got, c.buckets)
		}
		table.each(table.remove)
		if got := len(table.buckets); got != c.idle {
			t.Errorf("%d streams that have gone: %d buckets, want %d", c.streams, got, c.idle)
		}
		if table.find(1) != nil {
			t.Errorf("%d streams that have gone: stream 1 is there", c.streams)
		}
	}
}
