package eventloop

import (
	"math"
	"time"
)

const (
	// gatherWait is how long a busy loop lets events come together before it serves them. The kernel adds the slack of its
	// timers, 50 µs by default (prctl(2), PR_SET_TIMERSLACK).
	gatherWait = 40 * time.Microsecond
	// gatherGap is the longest mean time between two events at which a wait is sure to gather several.
	gatherGap = 25 * time.Microsecond
	// gatherWeight is the number of turns over which that mean is taken, about.
	gatherWeight = 8
)

// gathering decides whether the loop lets a moment pass before it takes the next events, as network cards do with their
// interrupts. Connections that carry many messages at a time send those of a turn with one call, so that a turn in which more
// has come together costs less for each; one that carries a single message gains nothing, and would only wait.
type gathering struct {
	asked bool  // by a connection that was active in the turn that ends
	turn  int64 // when the last turn began
	gap   int64 // mean time between two events, in nanoseconds
}

func (g *gathering) start(now int64) { g.turn, g.gap = now, math.MaxInt32 }

// begin notes that a turn has begun at now with some number of events.
func (g *gathering) begin(now int64, events int) {
	gap := min(now-g.turn, math.MaxInt32) / int64(max(events, 1))
	g.turn = now
	g.gap += (gap - g.gap) / gatherWeight
	g.asked = false
}

// worthwhile reports whether the next turn should wait for more events than the first.
func (g *gathering) worthwhile() bool { return g.asked && g.gap < int64(gatherGap) }

// Gather says that what was served in this turn would have cost less had more of its kind come with it. Each call is for one
// turn. When events are frequent, the loop then waits a moment before it takes the next ones.
func (l *Loop) Gather() { l.gathering.asked = true }
