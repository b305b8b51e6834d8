package http2

import "testing"

// TestStreamInflow grants a window of 100 bytes and follows what of it is used and given back.
func TestStreamInflow(t *testing.T) {
	const size = 100
	f := streamInflow{window: size}
	for i, step := range []struct {
		receive, take int
		refused       bool
		credit        uint32
	}{
		{receive: 60},
		{take: 49},
		{take: 1, credit: 50},        // half of the window is due
		{receive: 91, refused: true}, // 40 were left, and 50 came back
		{receive: 90},
		{receive: 1, refused: true},
		{receive: 0},             // an empty frame needs no window
		{take: 100, credit: 100}, // what is left of both
		{take: 0},                // nothing is owed
		{receive: 100},           // the window is whole again, and no larger than it was
		{receive: 1, refused: true},
		{take: 50, credit: 50},
	} {
		if step.receive > 0 || step.refused {
			if got := f.receive(step.receive); got == step.refused {
				t.Errorf("step %d: receiving %d bytes: %t", i, step.receive, got)
			}
		}
		if got := f.take(step.take, size); got != step.credit {
			t.Errorf("step %d: taking %d bytes credits %d, want %d", i, step.take, got, step.credit)
		}
	}
}

// TestStreamInflowSmallestWindow opens a window of one byte again, and one of none never.
func TestStreamInflowSmallestWindow(t *testing.T) {
	f := streamInflow{window: 1}
	if !f.receive(1) || f.receive(1) || f.take(1, 1) != 1 || !f.receive(1) {
		t.Errorf("a window of one byte: %+v", f)
	}
	none := streamInflow{}
	if none.receive(1) || !none.receive(0) || none.take(0, 0) != 0 {
		t.Errorf("a window of no bytes: %+v", none)
	}
}

// TestInflowSlack credits bytes that nobody has taken, but no more of them than the slack.
func TestInflowSlack(t *testing.T) {
	const size, slack = 100, 150
	f := inflow{size: size, window: size, slack: slack}
	credited := func(want uint32) {
		t.Helper()
		if got := f.credit(); got != want {
			t.Errorf("credit %d, want %d; %+v", got, want, f)
		}
	}
	f.receive(49)
	credited(0) // less than half
	f.receive(1)
	credited(50) // though it lies there
	f.receive(100)
	credited(100) // 150 lie there: as many as may
	f.receive(100)
	credited(0) // 250: what is due has to be taken
	f.take(49)
	credited(0)
	f.take(1)
	credited(50)
	f.take(200)
	credited(50)
	if f.unread != 0 || f.owed != 0 || f.window != size {
		t.Errorf("%+v, want nothing unread or owed and the whole window", f)
	}
}

// TestInflowWithoutSlack credits what is taken only.
func TestInflowWithoutSlack(t *testing.T) {
	const size = 100
	f := inflow{size: size, window: size}
	if !f.receive(100) || f.receive(1) || f.credit() != 0 {
		t.Errorf("%+v", f)
	}
	f.take(49)
	if got := f.credit(); got != 0 {
		t.Errorf("credit %d for 49 bytes", got)
	}
	f.take(51)
	if got := f.credit(); got != 100 || f.window != size {
		t.Errorf("credit %d; %+v", got, f)
	}
}

// TestOutflow opens and closes a window up to its largest value and below zero (RFC 9113 sections 6.9.1 and 6.9.2).
func TestOutflow(t *testing.T) {
	w := outflow(initialWindow)
	for i, step := range []struct {
		by   int64
		want outflow
		may  bool
	}{
		{by: -initialWindow, want: 0, may: true},
		{by: -initialWindow, want: -initialWindow, may: true}, // INITIAL_WINDOW_SIZE was lowered
		{by: maxWindow, want: maxWindow - initialWindow, may: true},
		{by: initialWindow, want: maxWindow, may: true},
		{by: 1, want: maxWindow + 1, may: false},
	} {
		if may := w.open(step.by); may != step.may || w != step.want {
			t.Errorf("step %d: %d, %t; want %d, %t", i, w, may, step.want, step.may)
		}
	}
}
