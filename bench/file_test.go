package bench

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench/origin"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

func TestReadScenarios(t *testing.T) {
	got, err := ReadScenarios([]byte(`
scenarios:
- name: plain
- name: api-2
  about: what our clients do
  tls: true
  connections: 100
  answer: 2048
  also: [0, 65536]
  headers: ["authorization: Bearer x"]
  slow: 10
  rate: 5000
  routes: 50
  clusters: 5
- {name: calls, downstream: h2, grpc: true, answer: 512, call: 100, streams: 10}
- {name: mixed, downstream: h2, upstream: h1, answer: 0}
- {name: churn, tls: true, new_connections: true, resume: true}
- {name: deep, pipeline: 16}
`))
	if err != nil {
		t.Fatal(err)
	}
	one := peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1}
	want := []Scenario{
		{Name: "plain", About: "of a file", Measure: Throughput, Traffic: one, Connections: 64, Path: "/bytes/16", Body: 16},
		{
			Name: "api-2", About: "what our clients do", Measure: Throughput,
			Traffic:     peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, TLS: true, Routes: 50, Clusters: 5},
			Connections: 100, Path: "/r49/bytes/2048", Body: 2048, Also: []string{"/r49/bytes/0", "/r49/bytes/65536"},
			Headers: []string{"authorization: Bearer x"}, Slow: 10, Rate: 5000,
		},
		{
			Name: "calls", About: "of a file", Measure: Throughput, Traffic: peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, GRPC: true, AddHeaders: true},
			Connections: 8, Streams: 10, Path: "/bench.Origin/Unary.grpc", Body: 512, Message: 100, Headers: []string{"content-type: application/grpc", "te: trailers"},
		},
		{
			Name: "mixed", About: "of a file", Measure: Throughput, Traffic: peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP1, AddHeaders: true},
			Connections: 8, Streams: 64, Path: "/bytes/0",
		},
		{
			Name: "churn", About: "of a file", Measure: Throughput, Traffic: peer.Traffic{Downstream: peer.HTTP1, Upstream: peer.HTTP1, TLS: true},
			Connections: 64, Path: "/bytes/16", Body: 16, NewConnections: true, Resume: true,
		},
		{Name: "deep", About: "of a file", Measure: Throughput, Traffic: one, Connections: 64, Path: "/bytes/16", Body: 16, Pipeline: 16},
	}
	for i := range want {
		if i >= len(got) || !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("scenario %d: got %+v, want %+v", i, got, want[i])
		}
	}
	for _, s := range got {
		if n, ok := origin.ParseSize([]byte(s.Path)); !s.Traffic.GRPC && (!ok || n != s.Body) {
			t.Errorf("%s: %s is answered with %d bytes, want %d", s.Name, s.Path, n, s.Body)
		}
	}
}

func TestReadScenariosRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":               {"", "there are 0"},
		"an empty list":         {"scenarios: []", "there are 0"},
		"no YAML":               {"scenarios: [", "line 1"},
		"a field that is not":   {"scenarios:\n- name: x\n  conections: 3", "line 3: field conections not found"},
		"a word for a number":   {"scenarios:\n- {name: x, connections: many}", "line 2"},
		"two documents":         {"scenarios: [{name: x}]\n---\nscenarios: [{name: y}]", "one document"},
		"no name":               {"scenarios: [{about: x}]", `scenario 1, "": name`},
		"a name with spaces":    {"scenarios: [{name: a b}]", "name: want"},
		"a name of the lab":     {"scenarios: [{name: h1-small}]", "has a scenario of this name"},
		"a name of a curve":     {"scenarios: [{name: growth-body}]", "has a scenario of this name"},
		"a name twice":          {"scenarios: [{name: x}, {name: x}]", `scenario 2, "x": there is another`},
		"another protocol":      {"scenarios: [{name: x, downstream: h3}]", `downstream: "h3", want h1 or h2`},
		"no answer":             {"scenarios: [{name: x, answer: -1}]", "answer: -1 bytes"},
		"too large an answer":   {"scenarios: [{name: x, also: [2000000000]}]", "answer: 2000000000"},
		"too many connections":  {"scenarios: [{name: x, connections: 1000000}]", "connections: 1000000"},
		"streams of h1":         {"scenarios: [{name: x, streams: 2}]", "streams"},
		"calls in h1":           {"scenarios: [{name: x, grpc: true}]", "grpc: want h2"},
		"calls to h1":           {"scenarios: [{name: x, grpc: true, downstream: h2, upstream: h1}]", "grpc: want h2"},
		"calls too small":       {"scenarios: [{name: x, grpc: true, downstream: h2, answer: 4}]", "messages of 4 and 4"},
		"a call that is none":   {"scenarios: [{name: x, call: 10}]", "call: want grpc"},
		"calls by turns":        {"scenarios: [{name: x, grpc: true, downstream: h2, also: [5]}]", "also"},
		"more of h2":            {"scenarios: [{name: x, downstream: h2, also: [5]}]", "also: want upstream h1"},
		"churn of h2":           {"scenarios: [{name: x, downstream: h2, upstream: h1, new_connections: true}]", "HTTP/1.1 only"},
		"resumption of nothing": {"scenarios: [{name: x, resume: true}]", "resumption"},
		"a header without name": {"scenarios: [{name: x, headers: [': y']}]", "headers"},
		"a header of two lines": {"scenarios: [{name: x, headers: [\"a: b\\r\\nc: d\"]}]", "headers"},
		"routes of h2":          {"scenarios: [{name: x, downstream: h2, routes: 5}]", "routes: want upstream h1"},
		"clusters by itself":    {"scenarios: [{name: x, clusters: 5}]", "clusters: 5 of 0 routes"},
		"too many routes":       {"scenarios: [{name: x, routes: 1000000}]", "routes and clusters: 1000000"},
		"a negative rate":       {"scenarios: [{name: x, rate: -1}]", "rate: -1"},
		"too much":              {strings.Repeat("#", MaxScenarioFile+1), "more than"},
		"too many":              {"scenarios:\n" + strings.Repeat("- {name: x}\n", maxFileScenarios+1), "there are 101"},
	} {
		if _, err := ReadScenarios([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "bench.") {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
}

// TestScenarioDocumentation reads the file that the documentation has.
func TestScenarioDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	file, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no file of scenarios in the documentation")
	}
	if _, err := ReadScenarios([]byte(file)); err != nil {
		t.Error(err)
	}
	kind := reflect.TypeFor[fileScenario]()
	for i := range kind.NumField() {
		if name := kind.Field(i).Tag.Get("yaml"); !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("the documentation does not say what %s is", name)
		}
	}
}

func FuzzReadScenarios(f *testing.F) {
	f.Add([]byte("scenarios:\n- {name: x, connections: 5, also: [1]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		scenarios, err := ReadScenarios(text)
		if err == nil && len(scenarios) == 0 {
			t.Error("no scenario and no error")
		}
	})
}
