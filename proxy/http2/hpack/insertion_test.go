package hpack

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRecall demands that what is in every message is remembered in spite of what is new in each, whatever their hashes are.
func TestRecall(t *testing.T) {
	const rounds, messages = 200, 20
	r := rand.New(rand.NewPCG(1, 1))
	forgotten := 0
	for range rounds {
		var memory recall
		constant := make([]uint32, 12)
		for i := range constant {
			constant[i] = r.Uint32()
		}
		remembered := make([]int, len(constant))
		for range messages {
			for range 4 {
				if memory.seen(r.Uint32()) {
					t.Error("a new hash is remembered")
				}
			}
			for i, hash := range constant {
				if memory.seen(hash) {
					remembered[i]++
				}
			}
		}
		for _, n := range remembered {
			forgotten += messages - 1 - n
			if n < messages/4 {
				t.Errorf("a hash was remembered in %d of %d messages", n, messages-1)
			}
		}
	}
	if all := rounds * (messages - 1) * 12; forgotten > all/50 {
		t.Errorf("%d of %d were forgotten", forgotten, all)
	}
}

// TestUniqueValuesAreNotInserted sends fields that never repeat.
func TestUniqueValuesAreNotInserted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	e := newEncoder()
	for range 2000 {
		encodeBlock(t, e, pairsOf(":path", "/"+hexOf(r, 16), "traceparent", "00-"+hexOf(r, 32), "cookie", "s="+hexOf(r, 40), "x-n", hexOf(r, 200)))
	}
	if e.table.inserted > 2 {
		t.Errorf("%d insertions", e.table.inserted)
	}
}

// TestInsertionFollowsUse sends more different cookies than fit the table, beside fields that are the same: few cookies are
// inserted, and the others stay indexed. When the cookies become few, they are indexed too.
func TestInsertionFollowsUse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	e := newEncoder()
	send := func(messages, clients int) (insertions, size int) {
		before := e.table.inserted
		for range messages {
			block := e.Begin(nil)
			for _, f := range append(pairsOf("cookie", fmt.Sprintf("session=%0200d", r.IntN(clients))), benchRequest...) {
				block = encodePair(e, block, f)
			}
			size += len(block)
		}
		checkIndex(t, e)
		return int(e.table.inserted - before), size
	}
	send(1000, 30)
	if insertions, size := send(1000, 30); insertions > 300 || size > 1000*(10+211+30) {
		t.Errorf("30 clients: %d insertions, %d bytes", insertions, size)
	}
	send(1000, 3)
	if insertions, size := send(1000, 3); insertions > 10 || size > 1000*12 {
		t.Errorf("3 clients: %d insertions, %d bytes", insertions, size)
	}
}

// TestDoubtIsBounded evicts what was never used and what was.
func TestDoubtIsBounded(t *testing.T) {
	var n insertion
	for range 1000 {
		n.evicted(0)
	}
	if n.doubt != maxDoubt {
		t.Errorf("doubt %d", n.doubt)
	}
	f := fieldOf("x-a", strings.Repeat("v", 50))
	inserted := 0
	for range 33 {
		if n.worthwhile(&f, PseudoNone) {
			inserted++
		}
	}
	if inserted != 1 {
		t.Errorf("%d of 32 are inserted in greatest doubt", inserted)
	}
	for range 1000 {
		n.evicted(enoughHits)
	}
	if n.doubt != 0 || !n.worthwhile(&f, PseudoNone) {
		t.Errorf("doubt %d", n.doubt)
	}
}
