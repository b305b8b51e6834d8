package eventloop

import (
	"strings"
	"testing"
)

// recorder appends its name to a list that several share.
type recorder struct {
	name  string
	list  *[]string
	again func()
}

func (r *recorder) TurnEnded() {
	*r.list = append(*r.list, r.name)
	if r.again != nil {
		r.again()
	}
}

// TestTurnEnd tells what was asked for after the tasks of the turn and in the order asked; what is asked for at the end of
// a turn comes at the end of the next, without waiting for anything to happen.
func TestTurnEnd(t *testing.T) {
	s := newSteppedLoop(t)
	var list []string
	late := &recorder{name: "late", list: &list}
	first := &recorder{name: "first", list: &list, again: func() { s.AtTurnEnd(late) }}
	s.Post(func() {
		s.AtTurnEnd(first)
		s.AtTurnEnd(&recorder{name: "second", list: &list})
		s.Post(func() { list = append(list, "posted") })
	})
	s.turnOnce()
	if got := strings.Join(list, " "); got != "first second" {
		t.Fatalf("the first turn: %q", got)
	}
	s.turnOnce()
	if got := strings.Join(list, " "); got != "first second posted late" {
		t.Fatalf("the second turn: %q", got)
	}
	if s.busy() {
		t.Error("the loop is busy when nothing is left to do")
	}
}

// TestTurnEndPanic isolates a panic from the others.
func TestTurnEndPanic(t *testing.T) {
	p := newPanics()
	l := startLoop(t, Options{OnPanic: p.report})
	var list []string
	onLoop(t, l, func() {
		l.AtTurnEnd(&recorder{name: "a", list: &list, again: func() { panic("at turn end") }})
		l.AtTurnEnd(&recorder{name: "b", list: &list})
	})
	p.expect(t, "at turn end", "TurnEnded")
	onLoop(t, l, func() {
		if got := strings.Join(list, " "); got != "a b" {
			t.Errorf("told: %q", got)
		}
	})
}
