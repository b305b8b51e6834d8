package attack

import (
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// floodTest is a flood that the proxy must stop, or must bear.
type floodTest struct {
	name string
	flood
	change func(*process.Setup) // what is to be different from edge
	body   int                  // size of answers, 0 for smallBody
	kinds  []kind               // nil for paces
	dial   []harness.DialOption
	// begin sends what comes before the flood. The flood's frames follow.
	begin func(c *harness.H2Client)
	// arriving, if set, has the flood wait between two batches until so many requests have reached the origin.
	arriving func(sent int) (requests int)

	// borne says that the connection goes on, because what is sent costs next to nothing. Otherwise it has to be closed with
	// code, and stat, if there is one, counts it.
	borne bool
	code  http2.ErrCode
	stat  string
	// requests and inFlight bound what reaches the origin, in total and at the same time, growth the memory in bytes.
	requests, inFlight int
	growth             int64
}

// run runs the test.
func (f *floodTest) run(t *testing.T) {
	kinds := f.kinds
	if kinds == nil {
		kinds = paces
	}
	each(t, kinds, func(t *testing.T, k kind) {
		g := newTargetBody(t, k, max(f.body, smallBody), func(s *process.Setup) {
			if f.change != nil {
				f.change(s)
			}
		})
		times := g.run(attack{
			name: f.name, requests: f.requests, inFlight: f.inFlight, growth: f.growth,
			run: func() int { return f.once(t, g) },
		})
		if f.stat != "" {
			g.WaitStat(f.stat, uint64(times))
		}
	})
}

// once floods a connection.
func (f *floodTest) once(t *testing.T, g *target) int {
	c := g.dial(f.dial...)
	if f.begin != nil {
		c.Batch(func() { f.begin(c) })
	}
	fl := f.flood
	if f.arriving != nil {
		fl.between = func(sent int) { g.waitRequests(f.arriving(sent)) }
	}
	e := fl.run(c)
	switch {
	case f.borne:
		e.wantOpen(t, f.frames)
	case f.unread:
		e.wantClosed(t, f.code)
	default:
		e.want(t, f.code)
	}
	return e.sent
}

func runFloods(t *testing.T, tests []floodTest) {
	t.Helper()
	for i := range tests {
		t.Run(tests[i].name, func(t *testing.T) {
			abreast(t)
			tests[i].run(t)
		})
	}
}
