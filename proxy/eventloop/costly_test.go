package eventloop

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAwaitTurn lets one task of many compute in a turn, in the order in which they came, and others run meanwhile.
func TestAwaitTurn(t *testing.T) {
	s := newSteppedLoop(t)
	const tasks = 200 // more than the list takes before its beginning is given up
	type turn struct{ round, task int }
	var did []turn
	for i := range tasks {
		s.Loop.Spawn(runnerFunc(func(task *Task) {
			for round := range 2 {
				task.AwaitTurn()
				did = append(did, turn{round, i})
			}
		}))
	}
	other := 0
	s.Loop.Spawn(runnerFunc(func(task *Task) {
		for len(did) < 2*tasks {
			other++
			task.Yield()
		}
	}))
	for len(did) < 2*tasks {
		before := len(did)
		s.step()
		if len(did)-before > 1 {
			t.Fatalf("%d tasks computed in a turn", len(did)-before)
		}
	}
	// The first has its place in the second round before all others had theirs in the first.
	var first []int
	for _, d := range did {
		if d.round == 0 {
			first = append(first, d.task)
		}
	}
	if len(first) != tasks || !slices.IsSorted(first) {
		t.Errorf("in the first round tasks computed in the order %v", first)
	}
	if other < tasks {
		t.Errorf("another task ran %d times meanwhile", other)
	}
	if q := &s.Loop.costly; q.busy() || cap(q.waiting) > 4*tasks {
		t.Errorf("%d places are left, in a list for %d", len(q.waiting), cap(q.waiting))
	}
}

// TestAwaitTurnShare gives tasks that compute more room in a turn with many events.
func TestAwaitTurnShare(t *testing.T) {
	var q costlyQueue
	for events, want := range map[int]int{0: 1, 1: 1, eventsPerCostly: 2, eventsPerTurn: 1 + eventsPerTurn/eventsPerCostly} {
		if q.begin(events); q.room != want {
			t.Errorf("%d events make room for %d, want %d", events, q.room, want)
		}
	}
}

func send(t *testing.T, peer int) {
	t.Helper()
	if _, err := unix.Write(peer, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// TestHandshakeAwaitsTurn has connections that shake hands at the same time do so one after the other.
func TestHandshakeAwaitsTurn(t *testing.T) {
	s := newSteppedLoop(t)
	read := 0
	const connections = 8
	var peers []int
	for range connections {
		c, peer := s.pair()
		peers = append(peers, peer)
		c.Handshake(func(w *Wire) (Layer, error) {
			var b [1]byte
			if _, err := w.Read(b[:]); err != nil {
				return nil, err
			}
			read++
			return &maskLayer{wire: w}, nil
		})
	}
	s.step()
	for _, peer := range peers {
		send(t, peer)
	}
	for read < connections {
		before := read
		s.step()
		if read-before > 1 {
			t.Fatalf("%d handshakes went on in a turn", read-before)
		}
	}
}

// TestHandshakeClosedWhileItWaits does not go on with a handshake whose connection was closed before its turn.
func TestHandshakeClosedWhileItWaits(t *testing.T) {
	s := newSteppedLoop(t)
	first, peer := s.pair()
	second, other := s.pair()
	var errs []error
	for _, c := range []*Conn{first, second} {
		c.Handshake(func(w *Wire) (Layer, error) {
			var b [1]byte
			_, err := w.Read(b[:])
			errs = append(errs, err)
			return &maskLayer{wire: w}, err
		})
	}
	s.step()
	send(t, peer)
	send(t, other)
	s.until("one goes on", func() bool { return len(errs) == 1 })
	second.Close()
	first.Close()
	s.until("the other ends", func() bool { return len(errs) == 2 })
	if errs[0] != nil || errs[1] == nil {
		t.Errorf("%v, %v", errs[0], errs[1])
	}
}
