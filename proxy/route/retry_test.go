package route

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// retryOf compiles a route with a policy, and what the runtime says.
func retryOf(t *testing.T, p *config.RetryPolicy, runtime map[string]uint64) *Retry {
	t.Helper()
	rc := newRoute("r", prefixMatch("/"))
	rc.Forward.Retry = p
	values := make(map[string]config.RuntimeValue)
	for key, n := range runtime {
		values[key] = config.RuntimeValue{Whole: &n}
	}
	table, err := Compile(configOf(rc), Options{Runtime: config.NewRuntime([]config.RuntimeValues{{Values: values}})})
	if err != nil {
		t.Fatal(err)
	}
	return table.Routes()[0].Retry()
}

func TestBackOffRange(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		policy  *config.RetryPolicy
		runtime map[string]uint64
		want    []time.Duration
	}{
		"no policy":       {nil, nil, []time.Duration{25 * ms, 50 * ms, 100 * ms, 200 * ms, 250 * ms, 250 * ms}},
		"policy":          {&config.RetryPolicy{BackOff: 3 * ms, MaxBackOff: 7 * ms}, nil, []time.Duration{3 * ms, 6 * ms, 7 * ms, 7 * ms}},
		"runtime":         {&config.RetryPolicy{}, map[string]uint64{config.KeyBackOff: 2}, []time.Duration{2 * ms, 4 * ms, 8 * ms, 16 * ms, 20 * ms}},
		"runtime of none": {&config.RetryPolicy{}, map[string]uint64{config.KeyBackOff: 0}, []time.Duration{ms, 2 * ms}},
		"runtime of ages": {&config.RetryPolicy{}, map[string]uint64{config.KeyBackOff: 1 << 62}, []time.Duration{24 * time.Hour, 48 * time.Hour}},
		"policy first":    {&config.RetryPolicy{BackOff: ms, MaxBackOff: ms}, map[string]uint64{config.KeyBackOff: 9}, []time.Duration{ms, ms}},
	} {
		r := retryOf(t, test.policy, test.runtime)
		for i, want := range test.want {
			if got := r.BackOffRange(uint32(i + 1)); got != want {
				t.Errorf("%s: before retry %d up to %s, want %s", name, i+1, got, want)
			}
		}
	}
	if got := retryOf(t, nil, nil).BackOffRange(1<<32 - 1); got != 250*ms {
		t.Errorf("before the last of all retries up to %s", got)
	}
}

func TestResetAfter(t *testing.T) {
	r := retryOf(t, &config.RetryPolicy{RateLimited: &config.RateLimitedBackOff{
		ResetHeaders: []config.ResetHeader{{Name: "retry-after"}, {Name: "x-ratelimit-reset", Timestamp: true}}, Max: time.Minute,
	}}, nil)
	const now = 1000
	for _, test := range []struct {
		after, at string
		want      time.Duration // -1 for none
	}{
		{"", "", -1},
		{"5", "", 5 * time.Second},
		{" 5 ", "", 5 * time.Second},
		{"0", "", 0},
		{"60", "", time.Minute},
		{"61", "", -1},
		{"61", "1010", 10 * time.Second},
		{"-1", "1010", 10 * time.Second},
		{"Fri, 31 Dec 1999 23:59:59 GMT", "1010", 10 * time.Second},
		{"9223372036854775807", "1000", 0},
		{"", "999", -1},
		{"", "-9223372036854775808", -1},
		{"", "2000", -1},
		{"5", "1010", 5 * time.Second},
	} {
		var fields message.Fields
		if test.after != "" {
			fields.AddRaw([]byte("retry-after"), []byte(test.after))
		}
		if test.at != "" {
			fields.AddRaw([]byte("x-ratelimit-reset"), []byte(test.at))
		}
		got, ok := r.ResetAfter(&fields, now)
		if !ok {
			got = -1
		}
		if got != test.want {
			t.Errorf("retry-after %q, x-ratelimit-reset %q: got %s, want %s", test.after, test.at, got, test.want)
		}
	}
	if _, ok := retryOf(t, nil, nil).ResetAfter(&message.Fields{}, now); ok {
		t.Error("a policy without such fields waits for them")
	}
}

func TestPolicyOfTheVirtualHost(t *testing.T) {
	own, none := newRoute("own", prefixMatch("/own")), newRoute("none", prefixMatch("/"))
	own.Forward.Retry = &config.RetryPolicy{NumRetries: 7}
	rc := configOf(own, none)
	rc.VirtualHosts[0].Retry = &config.RetryPolicy{NumRetries: 5}
	routes := mustCompile(t, rc).Routes()
	if a, b := routes[0].Retry().NumRetries, routes[1].Retry().NumRetries; a != 7 || b != 5 {
		t.Errorf("got %d and %d, want 7 and 5", a, b)
	}
}

func TestBodyBuffer(t *testing.T) {
	const listener = 1000
	for name, test := range map[string]struct {
		host, route *config.BodyBuffer
		want        int
	}{
		"nothing":      {nil, nil, 1000},
		"host":         {&config.BodyBuffer{Bytes: 10}, nil, 10},
		"route":        {&config.BodyBuffer{Bytes: 10}, &config.BodyBuffer{Bytes: 20}, 20},
		"more":         {nil, &config.BodyBuffer{Bytes: 2000}, 2000},
		"at most":      {nil, &config.BodyBuffer{Bytes: 2000, AtMost: true}, 1000},
		"at most less": {nil, &config.BodyBuffer{Bytes: 200, AtMost: true}, 200},
		"none":         {nil, &config.BodyBuffer{}, 0},
	} {
		rc := newRoute("r", prefixMatch("/"))
		rc.BodyBuffer = test.route
		all := configOf(rc)
		all.VirtualHosts[0].BodyBuffer = test.host
		if got := mustCompile(t, all).Routes()[0].BodyBuffer(listener); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}
