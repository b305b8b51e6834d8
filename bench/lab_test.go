package bench

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/origin"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
	"github.com/penguintechinc/marchproxy-alb/internal/bulk"
)

func TestScenarios(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Scenarios() {
		if seen[s.Name] {
			t.Errorf("%s: twice", s.Name)
		}
		seen[s.Name] = true
		if n, ok := origin.ParseSize([]byte(s.Path)); !s.Traffic.GRPC && !s.Traffic.ControlPlane && (!ok || n != s.Body) {
			t.Errorf("%s: %s is answered with %d bytes, the scenario says %d", s.Name, s.Path, n, s.Body)
		}
		if s.Connections < 1 || s.About == "" || s.Traffic.Upstream == "" || s.http2() != (s.Streams > 0 || s.Name == "h2-idle-10k") {
			t.Errorf("%s: %+v", s.Name, s)
		}
		if (s.Measure == Updated || s.Measure == Churned) != s.Traffic.ControlPlane || s.Traffic.ControlPlane == (s.Push == bulk.Size{}) {
			t.Errorf("%s: %s with %+v", s.Name, s.Measure, s.Push)
		}
		if s.Resume && !s.handshakes() || s.Traffic.TLS != strings.HasPrefix(s.Name, "tls-") {
			t.Errorf("%s: %+v", s.Name, s)
		}
		if s.Streams > peer.MaxStreams || s.http2Origin() && s.inFlight() > peer.MaxStreams {
			t.Errorf("%s: more requests at a time than an HTTP/2 origin takes on one connection", s.Name)
		}
	}
	for _, g := range goals() {
		if !seen[g.scenario] {
			t.Errorf("a goal of %s, which does not exist", g.scenario)
		}
	}
	for _, name := range DefaultScenarios() {
		if !slices.ContainsFunc(goals(), func(g goal) bool { return g.scenario == name }) {
			t.Errorf("%s runs by default and has no goal", name)
		}
	}
	if _, err := FindScenarios([]string{"h1-small", "h9"}); err == nil {
		t.Error("h9: want an error")
	}
}

// TestMakefile has make bench-full run every scenario.
func TestMakefile(t *testing.T) {
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nALL_SCENARIOS := ")
	line, _, _ := strings.Cut(rest, "\n")
	all := strings.Split(line, ",")
	for _, name := range ScenarioNames() {
		if !slices.Contains(all, name) {
			t.Errorf("ALL_SCENARIOS lacks %s", name)
		}
	}
	if _, err := FindScenarios(all); err != nil {
		t.Error(err)
	}
}

// TestTakingPart goes through who takes part in what.
func TestTakingPart(t *testing.T) {
	for _, test := range []struct {
		scenario   string
		out, http1 []string
	}{
		{h1Small, []string{peer.Nghttpx}, nil},
		{idle10k, []string{peer.Nghttpx}, nil},
		{h2ToH2, []string{peer.Nginx}, nil},
		{h2ToH1, nil, nil},
		{grpcUnary, nil, nil},
		{h2Large, nil, []string{peer.Nginx}},
		{h2Stalled, nil, []string{peer.Nginx, peer.HAProxy}},
		{"rate-limited", []string{peer.Nghttpx, peer.Caddy}, nil},
		{"grpc-stream", nil, nil},
		{"websocket-tunnel", []string{peer.Nghttpx}, nil},
		{"tcp-proxy", []string{peer.Nginx, peer.Nghttpx, peer.Caddy}, nil}, // nginx for it is not known how it was built
		{"h2-idle-10k", nil, nil},
		{tlsH1, []string{peer.Nghttpx}, nil},
		{"tls-h2", nil, nil},
		{tlsResume, []string{peer.Nghttpx}, nil},
	} {
		s, err := findScenario(test.scenario)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range peer.Kinds() {
			own, note, ok := s.of(Proxy{Kind: kind})
			changed := own.Traffic.Upstream != s.Traffic.Upstream
			if ok == slices.Contains(test.out, kind.Name) || changed != slices.Contains(test.http1, kind.Name) || (note != "") != (changed || !ok) {
				t.Errorf("%s %s: takes part: %v, %s upstream, note %q", s.Name, kind.Name, ok, own.Traffic.Upstream, note)
			}
		}
	}
}

func TestMessage(t *testing.T) {
	for size, prefix := range map[int]string{5: "\x00\x00\x00\x00\x00", 1024: "\x00\x00\x00\x03\xfb", 1 << 17: "\x00\x00\x01\xff\xfb"} {
		if m := message(size); len(m) != size || string(m[:5]) != prefix || strings.Trim(string(m[5:]), "x") != "" {
			t.Errorf("%d bytes: %d bytes that begin with %q, want %q", size, len(m), m[:5], prefix)
		}
	}
}

func TestKilobyteOfHeaders(t *testing.T) {
	n := 0
	for _, h := range kilobyteOfHeaders() {
		n += len(h) + 2
		if name, value, ok := strings.Cut(h, ": "); !ok || name == "" || value == "" || strings.ContainsAny(h, "\r\n") {
			t.Errorf("header %q", h)
		}
	}
	if n != 1024 {
		t.Errorf("%d bytes, want 1024", n)
	}
}

func TestAssign(t *testing.T) {
	for _, test := range []struct {
		cpus, proxy, load []int
		shared            bool
	}{
		{[]int{3}, []int{3}, []int{3}, true},
		{[]int{0, 1}, []int{0}, []int{1}, false},
		{[]int{2, 5, 6}, []int{2}, []int{5, 6}, false},
	} {
		proxy, load, shared := assign(test.cpus)
		if !slices.Equal(proxy, test.proxy) || !slices.Equal(load, test.load) || shared != test.shared {
			t.Errorf("%v: got %v, %v, %v", test.cpus, proxy, load, shared)
		}
	}
}

func TestCPUModel(t *testing.T) {
	if got := cpuModel([]byte("processor\t: 0\nmodel name\t: A CPU: fast\nmodel name\t: B\n")); got != "A CPU: fast" {
		t.Errorf("got %q", got)
	}
	if got := cpuModel([]byte("Features : fp\n")); got != "unknown" {
		t.Errorf("got %q, want unknown", got)
	}
}

func TestPortFinder(t *testing.T) {
	f := newPortFinder()
	f.next = lastPort - 1 // the search wraps around
	busy, err := net.Listen("tcp4", "127.0.0.1:20000")
	if err == nil {
		defer busy.Close()
	}
	got, err := f.addresses(4)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(got, "127.0.0.1:20000") {
		t.Errorf("%v: a port in use", got)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 4 {
		t.Errorf("%v: want 4 different addresses", got)
	}
}

func TestSettled(t *testing.T) {
	flat := slices.Repeat([]int64{1000}, settleReadings)
	for _, test := range []struct {
		name   string
		window []int64
		want   bool
	}{
		{"too few", flat[1:], false},
		{"flat", flat, true},
		{"flat after growth", append([]int64{1, 500}, flat...), true},
		{"within tolerance", append(slices.Clone(flat[1:]), 1004), true},
		{"grows", append(slices.Clone(flat[1:]), 1010), false},
		{"shrinks", append(slices.Clone(flat[1:]), 990), false},
	} {
		if got := settled(test.window); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestLineReader(t *testing.T) {
	r := newLineReader()
	for _, part := range []string{"rea", "dy\nclo", "sed 0\n", "", "rest"} {
		if n, err := r.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("%q: %d, %v", part, n, err)
		}
	}
	if a, b := <-r.lines, <-r.lines; a != HoldReady || b != HoldClosed+" 0" || len(r.lines) != 0 {
		t.Errorf("got %q, %q and %d more", a, b, len(r.lines))
	}
	if _, err := r.Write([]byte(strings.Repeat("\n", maxLines+1))); err == nil {
		t.Error("too many lines: want an error")
	}
	if _, err := newLineReader().Write(make([]byte, maxLine+1)); err == nil {
		t.Error("a long line: want an error")
	}
}

func TestOptionsCheck(t *testing.T) {
	good := Options{
		Proxies: []Proxy{{}}, Scenarios: Scenarios(), Rounds: 1,
		Duration: time.Second, Warmup: time.Second, Load: Auto,
	}
	if err := good.Check(); err != nil {
		t.Errorf("good options: %v", err)
	}
	for name, change := range map[string]func(*Options){
		"no proxies":      func(o *Options) { o.Proxies = nil },
		"no scenarios":    func(o *Options) { o.Scenarios = nil },
		"no rounds":       func(o *Options) { o.Rounds = 0 },
		"too many rounds": func(o *Options) { o.Rounds = maxRounds + 1 },
		"short duration":  func(o *Options) { o.Duration = time.Millisecond },
		"half seconds":    func(o *Options) { o.Duration = 1500 * time.Millisecond },
		"long duration":   func(o *Options) { o.Duration = maxDuration + time.Second },
		"no warm-up":      func(o *Options) { o.Warmup = 0 },
		"load":            func(o *Options) { o.Load = "ab" },
	} {
		o := good
		change(&o)
		if err := o.Check(); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestHoldArgs(t *testing.T) {
	for name, want := range map[string]string{
		idle10k:        "idle --address a:1 --path /16 --connections 10000",
		"h2-idle-10k":  "idle --http2 --address a:1 --path /16 --connections 10000",
		"tls-idle-10k": "idle --address a:1 --path /16 --connections 10000 --tls",
		h2Stalled:      "stall --streams 100 --address a:1 --path /1m --connections 10",
	} {
		s, err := findScenario(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(holdArgs(s, "a:1"), " "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
