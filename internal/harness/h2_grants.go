package harness

import "golang.org/x/net/http2"

// Initial values of settings (RFC 9113 section 6.5.2), and what the protocol allows.
const (
	defaultTableSize = 4096
	defaultWindow    = 1<<16 - 1
	defaultFrameSize = 1 << 14
	noLimit          = 1<<32 - 1
	maxWindow        = 1<<31 - 1
	maxFrameSize     = 1<<24 - 1
)

// h2Limits are what settings allow the other side.
type h2Limits struct{ table, window, frame, streams uint32 }

func defaultLimits() h2Limits {
	return h2Limits{table: defaultTableSize, window: defaultWindow, frame: defaultFrameSize, streams: noLimit}
}

// with returns the limits after settings.
func (l h2Limits) with(settings []http2.Setting) h2Limits {
	for _, s := range settings {
		switch s.ID {
		case http2.SettingHeaderTableSize:
			l.table = s.Val
		case http2.SettingInitialWindowSize:
			l.window = s.Val
		case http2.SettingMaxFrameSize:
			l.frame = s.Val
		case http2.SettingMaxConcurrentStreams:
			l.streams = s.Val
		}
	}
	return l
}

// widest returns the higher of each.
func (l h2Limits) widest(m h2Limits) h2Limits {
	return h2Limits{max(l.table, m.table), max(l.window, m.window), max(l.frame, m.frame), max(l.streams, m.streams)}
}

// h2Grants are our settings: those the peer has acknowledged, and those it may go by or not yet.
type h2Grants struct {
	acked   h2Limits
	pending []h2Pending
	limits  h2Limits // the widest of all
	stale   bool     // limits must be found anew
}

// h2Pending are settings that are not acknowledged, with all those before them in effect.
type h2Pending struct {
	limits h2Limits
	number int // of the frame
}

func newH2Grants() h2Grants { return h2Grants{acked: defaultLimits(), limits: defaultLimits()} }

// sent remembers settings that were sent with frame number n.
func (g *h2Grants) sent(settings []http2.Setting, n int) {
	last := g.acked
	if len(g.pending) > 0 {
		last = g.pending[len(g.pending)-1].limits
	}
	g.pending = append(g.pending, h2Pending{last.with(settings), n})
	g.stale = true
}

// ack makes the oldest pending settings those that hold. It returns false when there are none.
func (g *h2Grants) ack() (number int, ok bool) {
	if len(g.pending) == 0 {
		return 0, false
	}
	first := g.pending[0]
	g.pending = g.pending[1:]
	g.acked, g.stale = first.limits, true
	return first.number, true
}

// now returns what the peer may do at most. Settings that it has not acknowledged may be in effect with it or not, so that
// the more generous ones count.
func (g *h2Grants) now() h2Limits {
	if g.stale {
		g.limits, g.stale = g.acked, false
		for _, p := range g.pending {
			g.limits = g.limits.widest(p.limits)
		}
	}
	return g.limits
}
