package listener

import "testing"

// newLoad returns a load in memory of its own, without a program.
func newLoad() *Load {
	l := &loads{memory: make([]byte, loadsSize(1))}
	l.inUse.Store(2) // never unmapped
	return &Load{of: l, row: l.row(0)}
}

// TestLoadSettles lets settled follow what the program assigned and what has expired.
func TestLoadSettles(t *testing.T) {
	for _, c := range []struct {
		name                      string
		assigned, expired, before uint64
		want                      uint64
	}{
		{"the connection of a SYN", 5, 0, 2, 3},
		{"the last one that is waited for", 3, 0, 2, 3},
		{"no SYN was assigned, as after a SYN cookie", 3, 0, 3, 3},
		{"some were lost and have expired", 9, 6, 2, 7},
		{"all have expired, and one was slow", 9, 9, 2, 9},
		{"settled is beyond what has expired", 9, 3, 5, 6},
	} {
		l := newLoad()
		l.row.assigned.Store(c.assigned)
		l.row.expired.Store(c.expired)
		l.row.settled.Store(c.before)
		l.Opened()
		if got := l.row.settled.Load(); got != c.want {
			t.Errorf("%s: %d of %d are settled, want %d", c.name, got, c.assigned, c.want)
		}
	}
}

func TestLoadCountsOpen(t *testing.T) {
	l := newLoad()
	row := l.row
	l.Opened()
	l.Opened()
	l.Closed()
	if got := row.open.Load(); got != 1 {
		t.Errorf("%d are open, want 1", got)
	}
	l.Release()
	l.Closed()
	l.Opened()
	l.Opened()
	if got := row.open.Load(); got != 1 {
		t.Errorf("a load that was released still counts: %d are open, want 1", got)
	}
	var none *Load
	none.Opened()
	none.Closed()
	none.Release()
}

func TestLoadAllocatesNothing(t *testing.T) {
	l := newLoad()
	if got := testing.AllocsPerRun(100, func() { l.Opened(); l.Closed() }); got != 0 {
		t.Errorf("%v allocations per connection, want none", got)
	}
}

func BenchmarkLoad(b *testing.B) {
	l := newLoad()
	for b.Loop() {
		l.Opened()
		l.Closed()
	}
}
