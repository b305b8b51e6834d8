package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// speakHTTP2 has the hosts of a cluster spoken to in HTTP/2.
func speakHTTP2(c *config.Cluster) {
	c.Protocol, c.HTTP2 = config.ProtocolHTTP2, config.DefaultHTTP2()
}

// h2Setup leads to a host of HTTP/2.
func h2Setup(origin *harness.H2Origin) *harness.Setup {
	s := harness.NewSetup(origin.Addr())
	speakHTTP2(s.Clusters[0])
	return s
}

// grpcCall is the head of a call.
func grpcCall(fields ...string) []string {
	return harness.H2Head("POST", "/s.S/M", append([]string{"content-type", "application/grpc", "te", "trailers"}, fields...)...)
}

// unary is a message of gRPC with five bytes.
const unary = "\x00\x00\x00\x00\x05hello"

// grpcTimeout is a call to a host that does not answer.
type grpcTimeout struct {
	name    string
	forward func(*config.Forward)
	asked   string        // grpc-timeout, "" for none
	plain   bool          // the request is not one of gRPC
	told    string        // grpc-timeout as the host gets it
	after   time.Duration // when the call ends, 0 for never
	outcome string        // flags and details
	status  string        // grpc-status
}

const (
	routeTimeout = "UT response_timeout"
	durationOver = "DT max_duration_timeout"
)

// limited has grpc-timeout set the route's timeout, up to a maximum and with an offset.
func limited(most, offset time.Duration) func(*config.Forward) {
	return func(f *config.Forward) { f.GRPCTimeout = &config.GRPCTimeout{Max: most, Offset: offset} }
}

// newTimeouts is a route with max_stream_duration.
func newTimeouts(change func(*config.Forward)) func(*config.Forward) {
	return func(f *config.Forward) {
		f.Timeout, f.TellsDuration = 0, true
		change(f)
	}
}

// headerMax has grpc-timeout limit the duration of the stream.
func headerMax(most, offset time.Duration) func(*config.Forward) {
	return newTimeouts(func(f *config.Forward) { f.GRPCStreamDuration = &config.GRPCTimeout{Max: most, Offset: offset} })
}

func grpcTimeouts() []grpcTimeout {
	const route = config.DefaultRouteTimeout
	ms, s := time.Millisecond, time.Second
	duration := func(d time.Duration) func(*config.Forward) {
		return newTimeouts(func(f *config.Forward) { f.MaxStreamDuration = &d })
	}
	list := []grpcTimeout{
		// Routes that do not look at the field.
		{name: "not looked at", asked: "1S", told: "1S", after: route, outcome: routeTimeout, status: "14"},
		{name: "not looked at, junk", asked: "soon", told: "soon", after: route, outcome: routeTimeout, status: "14"},

		// max_grpc_timeout.
		{name: "max", forward: limited(2*s, 0), asked: "1S", told: "1000m", after: s, outcome: routeTimeout, status: "14"},
		{name: "max, too long", forward: limited(2*s, 0), asked: "3S", told: "2000m", after: 2 * s, outcome: routeTimeout, status: "14"},
		{name: "max, absent", forward: limited(2*s, 0), told: "2000m", after: 2 * s, outcome: routeTimeout, status: "14"},
		{name: "max, for ever", forward: limited(2*s, 0), asked: "0S", told: "2000m", after: 2 * s, outcome: routeTimeout, status: "14"},
		{name: "max, not gRPC", forward: limited(2*s, 0), asked: "1S", plain: true, told: "1S", after: route, outcome: routeTimeout},
		{name: "no max", forward: limited(0, 0), asked: "1H", told: "3600000m", after: time.Hour, outcome: routeTimeout, status: "14"},
		{name: "no max, absent", forward: limited(0, 0)},
		{name: "no max, for ever", forward: limited(0, 0), asked: "0m", told: "0m"},
		{name: "offset", forward: limited(0, 300*ms), asked: "1S", told: "700m", after: 700 * ms, outcome: routeTimeout, status: "14"},
		{name: "offset, then max", forward: limited(500*ms, 300*ms), asked: "1S", told: "500m", after: 500 * ms, outcome: routeTimeout, status: "14"},
		{name: "offset as long", forward: limited(0, s), asked: "1S", told: "1000m", after: s, outcome: routeTimeout, status: "14"},
		{name: "offset longer", forward: limited(0, 2*s), asked: "1S", told: "1000m", after: s, outcome: routeTimeout, status: "14"},

		// max_stream_duration. What it leaves out is not limited by the route's timeout.
		{name: "header max, unlimited", forward: headerMax(0, 0), asked: "1S", told: "1000m", after: s, outcome: durationOver, status: "4"},
		{name: "header max", forward: headerMax(2*s, 0), asked: "3S", told: "2000m", after: 2 * s, outcome: durationOver, status: "4"},
		{name: "header max, absent", forward: headerMax(2*s, 0)},
		{name: "header max, junk", forward: headerMax(2*s, 0), asked: "3", told: "3"},
		{name: "header max, not gRPC", forward: headerMax(2*s, 0), asked: "3S", plain: true, told: "3S", after: 2 * s, outcome: durationOver},
		{name: "header max, then offset", forward: headerMax(2*s, 500*ms), asked: "3S", told: "1500m", after: 1500 * ms, outcome: durationOver, status: "4"},
		{name: "header offset as long", forward: headerMax(0, s), asked: "1S", told: "0m", after: ms, outcome: durationOver, status: "4"},
		{name: "header max, no time", forward: headerMax(2*s, 0), asked: "0S", told: "0m", after: ms, outcome: durationOver, status: "4"},
		{name: "duration", forward: duration(2 * s), asked: "1S", told: "2000m", after: 2 * s, outcome: durationOver, status: "4"},
		{name: "duration, absent", forward: duration(2 * s), told: "2000m", after: 2 * s, outcome: durationOver, status: "4"},
		{name: "duration, not gRPC", forward: duration(2 * s), plain: true, after: 2 * s, outcome: durationOver},
		{name: "duration off", forward: duration(0), asked: "1S", told: "1S"},
	}
	for _, unit := range []struct {
		asked, told string
		after       time.Duration
	}{
		{"1H", "3600000m", time.Hour}, {"2M", "120000m", 2 * time.Minute}, {"3S", "3000m", 3 * s}, {"4m", "4m", 4 * ms},
		{"5000u", "5m", 5 * ms}, {"5001u", "6m", 6 * ms}, {"1u", "1m", ms}, {"6000000n", "6m", 6 * ms}, {"1n", "1m", ms},
		{"99999999m", "99999999m", 99999999 * ms}, {"00000001S", "1000m", s}, {"100000S", "100000S", 100000 * s},
	} {
		list = append(list, grpcTimeout{name: "unit " + unit.asked, forward: limited(0, 0), asked: unit.asked, told: unit.told,
			after: unit.after, outcome: routeTimeout, status: "14"})
	}
	for _, junk := range []string{"S", "1", "1x", "1s", "-1S", "+1S", "1.5S", "1 S", "0x1S", "100000000S", "1SS", "99999999H"} {
		list = append(list, grpcTimeout{name: "junk " + junk, forward: limited(2*s, 0), asked: junk, told: "2000m",
			after: 2 * s, outcome: routeTimeout, status: "14"})
	}
	return list
}

// TestGRPCTimeout holds how long a call may take, and what its host is told of that.
func TestGRPCTimeout(t *testing.T) {
	for _, test := range grpcTimeouts() {
		t.Run(test.name, func(t *testing.T) {
			origin := harness.NewH2Origin(t, func(p *harness.H2Peer) {
				for {
					if _, ok := p.ReadRequest(); !ok {
						return
					}
				}
			})
			s := h2Setup(origin)
			s.HTTP().StreamIdle = 0
			s.HTTP().ConnectionIdle = 0
			if test.forward != nil {
				test.forward(s.Route(0).Forward)
			}
			p := s.Start(t)
			c := p.DialH2()
			id := test.send(c)
			origin.WaitCounts("the call at the host", func(n harness.H2Counts) bool { return n.Started == 1 })
			if test.after == 0 {
				p.Advance(1000 * time.Hour)
				p.NoOutcome()
			} else {
				test.expectEnd(t, p, c, id)
			}
			c.Close()
			origin.WaitCounts("the call given up", func(n harness.H2Counts) bool { return n.Reset == 1 })
			if got := origin.Requests()[0].Fields.Get("grpc-timeout"); got != test.told {
				t.Errorf("the host is told %q, want %q", got, test.told)
			}
		})
	}
}

func (test *grpcTimeout) send(c *harness.H2Client) (id uint32) {
	head := grpcCall()
	if test.plain {
		head = harness.H2Head("POST", "/")
	}
	if test.asked != "" {
		head = append(head, "grpc-timeout", test.asked)
	}
	c.Batch(func() {
		id = c.Request(false, head...)
		c.Data(id, true, unary)
	})
	return id
}

// expectEnd holds that the call ends when it has to and not before.
func (test *grpcTimeout) expectEnd(t *testing.T, p *harness.Proxy, c *harness.H2Client, id uint32) {
	t.Helper()
	p.Advance(test.after - time.Millisecond)
	p.NoOutcome()
	p.Advance(time.Millisecond)
	r := c.Response(id)
	if got := r.Fields.Get("grpc-status"); got != test.status || !r.EndStream {
		t.Errorf("got %v, want grpc-status %q", r, test.status)
	}
	if o := p.Outcome(); o.Flags+" "+o.Details != test.outcome {
		t.Errorf("outcome %v, want %s", o, test.outcome)
	}
}
