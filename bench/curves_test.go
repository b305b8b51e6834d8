package bench

import (
	"slices"
	"testing"
)

// TestCurves has a proxy that is not there at the first point, and one without a result at the last.
func TestCurves(t *testing.T) {
	at := func(x int, summary ...Summary) ScenarioReport {
		return ScenarioReport{Scenario: Scenario{Growth: &Growth{"growth-x", "routes", x}, Measure: Throughput}, Summary: summary}
	}
	report := Report{Scenarios: []ScenarioReport{
		{Scenario: Scenario{Name: "other"}, Summary: []Summary{{Proxy: "a", CPU: 7}}},
		at(1, Summary{Proxy: "a", CPU: 10, BaseRSS: 1 << 20, AfterRSS: 2 << 20}),
		at(100, Summary{Proxy: "a", CPU: 12, BaseRSS: 1 << 20}, Summary{Proxy: "b", CPU: 30}),
		at(1001, Summary{Proxy: "a", CPU: 15, BaseRSS: 1<<20 + 500_000}, Summary{Proxy: "b"}),
	}}
	curves := report.Curves()
	if len(curves) != 1 {
		t.Fatalf("%d curves, want 1", len(curves))
	}
	c := curves[0]
	if !slices.Equal(c.Points, []int{1, 100, 1001}) || !slices.Equal(c.Proxies, []string{"a", "b"}) ||
		!slices.Equal(c.CPU["a"], []float64{10, 12, 15}) || !slices.Equal(c.CPU["b"], []float64{0, 30, 0}) {
		t.Errorf("%+v", c)
	}
	if each, ok := c.Each("a"); !ok || each != 500 {
		t.Errorf("%v bytes each, %v, want 500", each, ok)
	}
	if _, ok := c.Each("b"); ok {
		t.Error("what b needs for each is not known")
	}
	var b document
	report.writeCurves(&b)
	const want = `
growth-x  proxy  CPU µs/req at 1  100    1001   RSS idle, first  last     bytes each
          a      10.00            12.00  15.00  1.0 MiB          1.5 MiB  500
          b      -                30.00  -      -                -        -

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestWorkerCounts goes from one to all.
func TestWorkerCounts(t *testing.T) {
	for cpus, want := range map[int][]int{1: {1}, 2: {1, 2}, 6: {1, 2, 3, 4, 5, 6}, 8: {1, 2, 3, 4, 5, 6, 7, 8}, 48: {1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 48}} {
		if got := workerCounts(cpus); !slices.Equal(got, want) {
			t.Errorf("%d CPUs: %v, want %v", cpus, got, want)
		}
	}
}

// TestWorkerCPUs has the proxy run on as many CPUs as it has workers, and the load on others as long as there are any.
func TestWorkerCPUs(t *testing.T) {
	four := &lab{cpus: []int{0, 1, 2, 3}, machine: Machine{ProxyCPUs: []int{0}, LoadCPUs: []int{1, 2, 3}}}
	for workers, want := range [][2][]int{
		{{0}, {1, 2, 3}}, {{0}, {1, 2, 3}}, {{0, 1}, {2, 3}}, {{0, 1, 2}, {3}}, {{0, 1, 2, 3}, {1, 2, 3}}, {{0, 1, 2, 3}, {1, 2, 3}},
	} {
		s := Scenario{Workers: workers}
		if proxy, load := four.proxyCPUs(s), four.loadCPUs(s); !slices.Equal(proxy, want[0]) || !slices.Equal(load, want[1]) || four.alone(s) != (workers < 2) {
			t.Errorf("%d workers: proxy on %v, load on %v, want %v", workers, proxy, load, want)
		}
	}
}

// TestRates writes how much more is served by more workers.
func TestRates(t *testing.T) {
	c := Curve{
		Name: growthWorkers, Of: ofWorkers, Points: []int{1, 2}, Proxies: []string{"a", "b"},
		Rate: map[string][]float64{"a": {1000, 1900}, "b": {0, 500}},
	}
	var b document
	c.writeRates(&b)
	const want = `
growth-workers  proxy  req/s at 1  2     last / first
                a      1000        1900  1.90
                b      -           500   -

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestCurveByName(t *testing.T) {
	for _, name := range curves() {
		points, err := FindScenarios([]string{name})
		if err != nil || len(points) < 5 && (name != growthWorkers || len(points) < 1) {
			t.Errorf("%s: %d points, %v", name, len(points), err)
		}
		for _, s := range points {
			if again, err := FindScenarios([]string{s.Name}); err != nil || len(again) != 1 || again[0].Growth.Curve != name {
				t.Errorf("%s: %+v, %v", s.Name, again, err)
			}
		}
	}
}
