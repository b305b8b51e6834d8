package http2

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; commit them only when every change in them is wanted")

// allStates are the states in the order of their numbers.
var allStates = []state{stateIdle, stateOpen, stateHalfClosedRemote, stateHalfClosedLocal, stateClosed}

// stateEvents are all events that change a state or are refused by one.
var stateEvents = []struct {
	name string
	do   func(state) (state, scope)
}{
	{"recv HEADERS", state.recvHeaders},
	{"recv DATA", state.recvData},
	{"recv END_STREAM", state.recvEnd},
	{"recv RST_STREAM", state.recvReset},
	{"send HEADERS", state.sendHeaders},
	{"send DATA", state.sendData},
	{"send END_STREAM", state.sendEnd},
	{"send RST_STREAM", state.sendReset},
	{"connection lost", func(s state) (state, scope) { return s.lose(), allowed }},
}

// TestStateTransitions compares every event in every state with the table in testdata.
func TestStateTransitions(t *testing.T) {
	const path = "testdata/state_transitions.txt"
	var table strings.Builder
	row := func(cells ...string) {
		line := ""
		for _, cell := range cells {
			line += fmt.Sprintf("%-22s", cell)
		}
		table.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	head := []string{""}
	for _, s := range allStates {
		head = append(head, s.String())
	}
	row(head...)
	for _, event := range stateEvents {
		cells := []string{event.name}
		for _, s := range allStates {
			next, scope := event.do(s)
			if scope != allowed && next != s {
				t.Errorf("%s in %v is refused and changes the state to %v", event.name, s, next)
			}
			cells = append(cells, transitionText(next, scope))
		}
		row(cells...)
	}
	if *update {
		if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if table.String() != string(want) {
		t.Errorf("%s differs (-update writes it):\n%s", path, table.String())
	}
}

func transitionText(next state, s scope) string {
	switch s {
	case streamError:
		return "! stream"
	case connectionError:
		return "! connection"
	default:
		return next.String()
	}
}

// TestStateIsFinal demands that no event leads out of the closed state, and none back to idle.
func TestStateIsFinal(t *testing.T) {
	for _, event := range stateEvents {
		for _, s := range allStates {
			next, _ := event.do(s)
			if s == stateClosed && next != stateClosed || s != stateIdle && next == stateIdle {
				t.Errorf("%s leads from %v to %v", event.name, s, next)
			}
		}
	}
}

// TestStatePredicates holds canSend and canRecv against the events that they foretell.
func TestStatePredicates(t *testing.T) {
	for _, s := range allStates {
		_, send := s.sendData()
		_, recv := s.recvData()
		if s.canSend() != (send == allowed) || s.canRecv() != (recv == allowed) {
			t.Errorf("%v: canSend %t, canRecv %t; DATA is allowed %t, %t", s, s.canSend(), s.canRecv(), send == allowed, recv == allowed)
		}
	}
}
