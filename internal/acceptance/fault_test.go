package acceptance

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// faultSetup returns a setup with a fault filter that does nothing, and a route that says what it does.
func faultSetup(t *testing.T, f *config.Fault) *harness.Setup {
	t.Helper()
	s := harness.NewSetup(harness.NewOrigin(t, harness.Echo).Addr())
	s.HTTP().Filters = []config.HTTPFilter{{Name: "f", Config: &config.Fault{MaxActive: 10}}}
	s.Route(0).Filters = config.FilterConfigs{"f": {Config: f}}
	return s
}

var everyRequest = config.RuntimeFraction{Default: config.FractionAll}

func TestFaultAbort(t *testing.T) {
	only := []config.HeaderMatcher{{Name: "x-fault", Kind: config.HeaderPresent, Present: true}}
	for name, test := range map[string]struct {
		fault  config.Fault
		fields []string
		want   string
		body   string
		grpc   string
	}{
		"abort":         {config.Fault{MaxActive: 1, Status: 418, AbortShare: everyRequest}, nil, "418 FI fault_filter_abort", "fault filter abort", ""},
		"of no request": {config.Fault{MaxActive: 1, Status: 418}, nil, "200 - via_upstream", "GET / ", ""},
		"of others":     {config.Fault{MaxActive: 1, Status: 418, AbortShare: everyRequest, Headers: only}, nil, "200 - via_upstream", "GET / ", ""},
		"of this one": {config.Fault{MaxActive: 1, Status: 418, AbortShare: everyRequest, Headers: only}, []string{"x-fault: 1"},
			"418 FI fault_filter_abort", "fault filter abort", ""},
		"too many": {config.Fault{MaxActive: 0, Status: 418, AbortShare: everyRequest}, nil, "200 - via_upstream", "GET / ", ""},
		"gRPC": {config.Fault{MaxActive: 1, Status: 200, GRPCStatus: 8, AbortShare: everyRequest}, []string{"content-type: application/grpc"},
			"200 FI fault_filter_abort", "", "8"},
	} {
		t.Run(name, func(t *testing.T) {
			p := faultSetup(t, &test.fault).Start(t)
			resp := p.Dial().Get("/", test.fields...)
			if resp.Body != test.body || resp.Fields.Get("grpc-status") != test.grpc {
				t.Errorf("got %q", resp.Raw)
			}
			if o := p.Outcome(); o.String() != test.want {
				t.Errorf("outcome %v, want %s", o, test.want)
			}
			if n := p.HTTPStat("fault.active_faults"); n != 0 {
				t.Errorf("active_faults is %d after the request", n)
			}
			want := map[bool]uint64{true: 1}
			if got := p.HTTPStat("fault.faults_overflow"); got != want[name == "too many"] {
				t.Errorf("faults_overflow is %d", got)
			}
			if got := p.HTTPStat("fault.aborts_injected"); got != want[test.want[4:6] == "FI"] {
				t.Errorf("aborts_injected is %d", got)
			}
		})
	}
}

// TestFaultDelay holds that a request waits for as long as it is told, and goes on as it would have, or is aborted then.
func TestFaultDelay(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		want   string
	}{"delay": {0, "200 DI via_upstream"}, "delay and abort": {503, "503 DI,FI fault_filter_abort"}} {
		t.Run(name, func(t *testing.T) {
			s := faultSetup(t, &config.Fault{
				MaxActive: 1, Delay: 5 * time.Second, DelayShare: everyRequest, Status: test.status, AbortShare: everyRequest,
			})
			p := s.Start(t)
			for _, connect := range []func() func(){
				func() func() { c := p.Dial(); c.Send(harness.Get("/")); return func() { c.ReadResponse("GET") } },
				func() func() { c := p.DialH2(); id := c.Get("/"); return func() { c.Response(id) } },
			} {
				read := connect()
				p.Advance(5*time.Second - justBefore)
				p.NoOutcome()
				if n := p.HTTPStat("fault.active_faults"); n != 1 {
					t.Errorf("active_faults is %d, want 1", n)
				}
				p.Advance(2 * justBefore)
				read()
				if o := p.Outcome(); o.String() != test.want {
					t.Errorf("outcome %v, want %s", o, test.want)
				}
			}
			if n := p.HTTPStat("fault.delays_injected"); n != 2 {
				t.Errorf("delays_injected is %d, want 2", n)
			}
		})
	}
}

// TestFaultDelayOfAClientThatLeaves holds that nothing is left of a request whose client does not wait.
func TestFaultDelayOfAClientThatLeaves(t *testing.T) {
	p := faultSetup(t, &config.Fault{MaxActive: 1, Delay: time.Hour, DelayShare: everyRequest}).Start(t)
	c := p.Dial()
	c.Send(harness.Get("/"))
	p.Sync()
	c.Close()
	if o := p.Outcome(); o.String() != "0 DC,DI downstream_remote_disconnect" {
		t.Errorf("outcome %v", o)
	}
	if n := p.HTTPStat("fault.active_faults"); n != 0 {
		t.Errorf("active_faults is %d", n)
	}
}

// TestFaultLimitOutlivesChanges holds that faults count that were begun before a change of something else.
func TestFaultLimitOutlivesChanges(t *testing.T) {
	p := faultSetup(t, &config.Fault{MaxActive: 1, Delay: time.Hour, DelayShare: everyRequest}).Start(t)
	waits, second := p.Dial(), p.Dial()
	waits.Send(harness.Get("/"))
	p.Sync()
	other := harness.Cluster("other")
	p.Apply(config.Delta{Clusters: config.Changes[*config.Cluster]{Set: map[string]*config.Cluster{"other": other}}})
	if r := second.Get("/"); r.Status != 200 {
		t.Errorf("status %d, want the second request to pass", r.Status)
	}
	if n := p.HTTPStat("fault.faults_overflow"); n != 1 {
		t.Errorf("faults_overflow is %d, want 1", n)
	}
	waits.Close()
}
