package hpack

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// insertText inserts a field with a stored name.
func (t *table) insertText(name, value string) {
	e := entry{nameLen: uint16(len(name)), valueLen: uint16(len(value))}
	t.evict(t.max - e.size())
	t.reserve(len(name) + len(value))
	t.push(e, []byte(name), []byte(value))
}

// TestTableAgainstModel inserts into and resizes a table and a plain list. The numbers and offsets begin shortly before they
// wrap.
func TestTableAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		dynamic := table{max: 4096, base: ^uint32(0) - 5000, inserted: ^uint32(0) - 100}
		var model []string // newest first
		for i := range 3000 {
			if r.IntN(100) == 0 {
				dynamic.max = uint32(r.IntN(4097))
				dynamic.evict(dynamic.max)
			}
			name, value := fmt.Sprint("name-", i), make([]byte, r.IntN(200))
			if size := len(name) + len(value) + 32; size <= int(dynamic.max) {
				dynamic.insertText(name, string(value))
				model = append([]string{name + ": " + string(value)}, model...)
			}
			model = model[:dynamic.count]
			checkTable(t, &dynamic)
			if got := dynamic.describe(); i%50 == 0 && fmt.Sprint(got) != fmt.Sprint(model) {
				t.Fatalf("step %d: %q, want %q", i, got, model)
			}
		}
	}
}

// TestTableMemory demands that a table takes nothing when it is empty, little with its first entries, and no more than
// promised when it is full of small or large entries.
func TestTableMemory(t *testing.T) {
	memory := func(t *table) int { return cap(t.store) + 16*cap(t.ring) }
	for _, size := range []uint32{4096, MaxTableSize} {
		for _, length := range []int{0, 1, 20, 300, 1000, 4000} {
			dynamic := table{max: size}
			if memory(&dynamic) != 0 {
				t.Error("an empty table has memory")
			}
			dynamic.insertText("n", "v")
			if got := memory(&dynamic); got > minStore+16*minRing {
				t.Errorf("a table with one entry takes %d bytes", got)
			}
			for range 10_000 {
				dynamic.insertText("n", string(make([]byte, length)))
			}
			if got := memory(&dynamic); got > int(size)*5/2 {
				t.Errorf("a table of %d bytes takes %d when full of entries with %d bytes", size, got, length)
			}
		}
	}
}

// TestTableMovesLittle counts how often bytes are moved.
func TestTableMovesLittle(t *testing.T) {
	dynamic := table{max: 4096}
	inserted, moved := 0, 0
	for range 100_000 {
		base := dynamic.base
		dynamic.insertText("name", "a value of forty bytes, more or less....")
		inserted += 44
		if dynamic.base != base {
			moved += len(dynamic.store)
		}
	}
	if moved > inserted {
		t.Errorf("%d bytes were moved for %d that were inserted", moved, inserted)
	}
}
