package bench

import (
	"slices"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
)

// Report is the outcome of a run, as it is written in JSON.
type Report struct {
	Started   time.Time        `json:"started"`
	Machine   Machine          `json:"machine"`
	Tools     []Program        `json:"tools,omitempty"` // of nghttp2, that were used
	Duration  time.Duration    `json:"duration_ns"`
	Warmup    time.Duration    `json:"warmup_ns"`
	Proxies   []Program        `json:"proxies"`
	Scenarios []ScenarioReport `json:"scenarios"`
	Goals     []GoalResult     `json:"goals"`
	// Findings compare proxy-alb with the Baseline, where there is one.
	Findings []Finding `json:"findings,omitempty"`
}

// Program identifies a proxy that was measured, or what it was measured with.
type Program struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

// ScenarioReport holds what was measured in one scenario.
type ScenarioReport struct {
	Scenario Scenario  `json:"scenario"`
	Load     Generator `json:"load,omitempty"`
	Notes    []string  `json:"notes,omitempty"` // who was left out or had another task, and why
	Rounds   []Round   `json:"rounds"`
	Summary  []Summary `json:"summary"` // per proxy that took part, in the order of Report.Proxies
	// CrossChecks are rounds with load by another generator, named in CheckedBy; they are no part of Summary.
	CrossChecks []Round   `json:"cross_checks,omitempty"`
	CheckedBy   Generator `json:"checked_by,omitempty"`
	// Latencies are at rates that all can serve.
	Latencies []LatencyRound `json:"latencies,omitempty"`
}

// Round is one proxy measured once.
type Round struct {
	Proxy string `json:"proxy"`
	Round int    `json:"round"` // from 1
	// Error says why the round has no result; "" for a round that has.
	Error string `json:"error,omitempty"`

	// Of throughput and download.
	Load load.Result `json:"load_result"`
	// UserCPU and SystemCPU are the time the proxy's processes used for the whole
	// of Load, together TotalCPU. FineCPU says that the total came from nanosecond
	// counters, see proc.CPU.
	TotalCPU  time.Duration `json:"total_cpu_ns"`
	UserCPU   time.Duration `json:"user_cpu_ns"`
	SystemCPU time.Duration `json:"system_cpu_ns"`
	FineCPU   bool          `json:"fine_cpu"`
	// Foreign is the fraction of the proxy's CPUs that others used meanwhile, in
	// [0, 1]; 0 when the CPU is shared anyway.
	Foreign float64 `json:"foreign"`

	// Startup is the time from when the process was started to its first answer with status 200, to some milliseconds: the
	// question is asked again and again.
	Startup time.Duration `json:"startup_ns,omitempty"`

	// Resident bytes of the proxy's processes before, and with the connections or streams
	// held, after the download or the load; PeakRSS is the most during the download. In
	// throughput nothing but the first answer comes before.
	BaseRSS  int64 `json:"base_rss"`
	PeakRSS  int64 `json:"peak_rss,omitempty"`
	AfterRSS int64 `json:"after_rss"`

	// AgainstBaseline is what a request costs proxy-alb by what it costs the Baseline, where both were measured by turns: the
	// median of the ratios of their slices.
	AgainstBaseline float64 `json:"against_baseline,omitempty"`

	// Update is of scenarios of updates, with CPU times and memory: TotalCPU is that of the
	// push, AfterRSS after it.
	Update *Update `json:"update,omitempty"`
	// Beside is of scenarios of what is beside requests. Load and CPU times are those of the requests with it.
	Beside *Beside `json:"beside,omitempty"`
}

// failed says whether the round has no result or lost requests.
func (r Round) failed() bool { return r.Error != "" || r.Load.Errors.Total() > 0 }

// cpuPerRequest returns microseconds.
func (r Round) cpuPerRequest() float64 { return r.perRequest(r.TotalCPU) }

// perRequest divides a CPU time by the requests of the round, in microseconds.
func (r Round) perRequest(cpu time.Duration) float64 {
	if r.Load.Requests == 0 {
		return 0
	}
	return float64(cpu) / float64(time.Microsecond) / float64(r.Load.Requests)
}

// gigabits returns the rate of bodies, both ways together.
func (r Round) gigabits() float64 {
	if r.Load.Elapsed <= 0 {
		return 0
	}
	return float64(r.Load.Bytes+r.Load.Sent) * 8 / 1e9 / r.Load.Elapsed.Seconds()
}

// gigabitsPerCore returns bodies over the CPU time of the proxy.
func (r Round) gigabitsPerCore() float64 {
	if r.TotalCPU <= 0 {
		return 0
	}
	return float64(r.Load.Bytes+r.Load.Sent) * 8 / 1e9 / r.TotalCPU.Seconds()
}

// Summary is what the rounds of one proxy in one scenario come to: medians, and
// spreads as half the range divided by the median.
type Summary struct {
	Proxy  string `json:"proxy"`
	Rounds int    `json:"rounds"` // with a result
	Failed int    `json:"failed"` // without a result, or with errors

	RequestsPerSecond       float64 `json:"requests_per_second"`
	RequestsPerSecondSpread float64 `json:"requests_per_second_spread"`
	CPU                     float64 `json:"cpu_us_per_request"`
	UserCPU                 float64 `json:"user_cpu_us_per_request"`
	SystemCPU               float64 `json:"system_cpu_us_per_request"`
	CPUSpread               float64 `json:"cpu_spread"`
	// Startup is in milliseconds.
	Startup float64     `json:"startup_ms"`
	Busy    float64     `json:"busy"` // CPU time over wall time: 1 is a whole CPU
	Foreign float64     `json:"foreign"`
	P50     float64     `json:"p50_us"`
	P90     float64     `json:"p90_us"`
	P99     float64     `json:"p99_us"`
	P999    float64     `json:"p999_us"`
	Max     float64     `json:"max_us"`
	Errors  load.Errors `json:"errors"`
	// Mean is that of the latency, for generators that do not tell quantiles.
	Mean float64 `json:"mean_us"`
	// Gigabits of bodies per second, in units of 10^9 bits.
	Gigabits       float64 `json:"gbit_per_second"`
	GigabitsSpread float64 `json:"gbit_per_second_spread"`
	// GigabitsPerCore is bodies over CPU time: what a core that did nothing else would carry.
	GigabitsPerCore float64 `json:"gbit_per_second_per_core"`
	// CPURatio is the median over rounds of this proxy's CPU per request over the
	// peer's in the same round, by peer.
	CPURatio map[string]float64 `json:"cpu_ratio,omitempty"`

	// BytesEach is what a connection or stream that is held adds.
	BytesEach       float64 `json:"bytes_each"`
	BytesEachSpread float64 `json:"bytes_each_spread"`
	BaseRSS         float64 `json:"base_rss"`
	PeakRSS         float64 `json:"peak_rss"`
	AfterRSS        float64 `json:"after_rss"`
	// Growth is what the peak of a download adds.
	Growth float64 `json:"growth"`
	// AdmittedPerSecond is how many requests passed, where there is a limit.
	AdmittedPerSecond float64 `json:"admitted_per_second,omitempty"`
	// Update has medians of each.
	Update *Update `json:"update,omitempty"`
	// Beside has medians of what is shown of it.
	Beside *Beside `json:"beside,omitempty"`
	// PushCPU is the CPU time of a push.
	PushCPU time.Duration `json:"push_cpu_ns,omitempty"`
	// MemoryRatio is the like of CPURatio for BytesEach.
	MemoryRatio map[string]float64 `json:"memory_ratio,omitempty"`
}

// Failed says whether any round had errors or no result.
func (r Report) Failed() bool {
	for _, s := range r.Scenarios {
		for _, round := range slices.Concat(s.Rounds, s.CrossChecks) {
			if round.failed() {
				return true
			}
		}
		if slices.ContainsFunc(s.Latencies, func(l LatencyRound) bool { return l.Error != "" || l.Load.Errors.Total() > 0 }) {
			return true
		}
	}
	return false
}

// summarize fills in the summaries of names, in their order.
func (s *ScenarioReport) summarize(names []string) {
	s.Summary = nil
	for _, name := range names {
		sum := Summary{Proxy: name}
		for _, r := range s.Rounds {
			if r.Proxy == name {
				sum.count(r)
			}
		}
		sum.Startup = median(s.values(name, func(r Round) float64 { return r.Startup.Seconds() * 1000 }))
		if s.Scenario.Measure != Updated {
			s.summarizeMemory(&sum)
		}
		switch s.Scenario.Measure {
		case Idle, Stalled:
			sum.MemoryRatio = s.ratios(name, names, s.bytesEach)
		case Updated:
			s.summarizeUpdate(&sum)
		default:
			s.summarizeThroughput(&sum)
			sum.CPURatio = s.ratios(name, names, Round.cpuPerRequest)
			if s.Scenario.beside() {
				s.summarizeBeside(&sum)
			}
		}
		s.Summary = append(s.Summary, sum)
	}
}

func (s *Summary) count(r Round) {
	if r.Error == "" {
		s.Rounds++
	}
	if r.failed() {
		s.Failed++
	}
	s.Errors = s.Errors.Add(r.Load.Errors)
}

func (s *ScenarioReport) summarizeThroughput(sum *Summary) {
	rate := s.values(sum.Proxy, func(r Round) float64 { return r.Load.RequestsPerSecond() })
	sum.RequestsPerSecond, sum.RequestsPerSecondSpread = median(rate), spread(rate)
	if s.Scenario.Traffic.RateLimit > 0 {
		sum.AdmittedPerSecond = median(s.values(sum.Proxy, func(r Round) float64 { return r.Load.AdmittedPerSecond() }))
	}
	cpu := s.values(sum.Proxy, Round.cpuPerRequest)
	sum.CPU, sum.CPUSpread = median(cpu), spread(cpu)
	sum.UserCPU = median(s.values(sum.Proxy, func(r Round) float64 { return r.perRequest(r.UserCPU) }))
	sum.SystemCPU = median(s.values(sum.Proxy, func(r Round) float64 { return r.perRequest(r.SystemCPU) }))
	sum.Busy = median(s.values(sum.Proxy, func(r Round) float64 { return r.TotalCPU.Seconds() / r.Load.Elapsed.Seconds() }))
	sum.Foreign = median(s.values(sum.Proxy, func(r Round) float64 { return r.Foreign }))
	gigabits := s.values(sum.Proxy, Round.gigabits)
	sum.Gigabits, sum.GigabitsSpread = median(gigabits), spread(gigabits)
	sum.GigabitsPerCore = median(s.values(sum.Proxy, Round.gigabitsPerCore))
	sum.Mean = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.Mean) }))
	sum.P50 = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.P50) }))
	sum.P90 = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.P90) }))
	sum.P99 = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.P99) }))
	sum.P999 = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.P999) }))
	sum.Max = median(s.values(sum.Proxy, func(r Round) float64 { return micros(r.Load.Max) }))
}

func (s *ScenarioReport) summarizeMemory(sum *Summary) {
	each := s.values(sum.Proxy, s.bytesEach)
	sum.BytesEach, sum.BytesEachSpread = median(each), spread(each)
	sum.BaseRSS = median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.BaseRSS) }))
	sum.PeakRSS = median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.PeakRSS) }))
	sum.AfterRSS = median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.AfterRSS) }))
	sum.Growth = median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.PeakRSS - r.BaseRSS) }))
}

func (s *ScenarioReport) summarizeUpdate(sum *Summary) {
	middle := func(value func(Round) time.Duration) time.Duration {
		return time.Duration(median(s.values(sum.Proxy, func(r Round) float64 { return float64(value(r)) })))
	}
	sum.Update = &Update{
		Applied:      middle(func(r Round) time.Duration { return r.Update.Applied }),
		Acknowledged: middle(func(r Round) time.Duration { return r.Update.Acknowledged }),
		Visible:      middle(func(r Round) time.Duration { return r.Update.Visible }),
		P99Before:    middle(func(r Round) time.Duration { return r.Update.P99Before }),
		P99During:    middle(func(r Round) time.Duration { return r.Update.P99During }),
		Requests:     int(median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.Update.Requests) }))),
	}
	sum.PushCPU = middle(func(r Round) time.Duration { return r.TotalCPU })
	sum.AfterRSS = median(s.values(sum.Proxy, func(r Round) float64 { return float64(r.AfterRSS) }))
}

func (s *ScenarioReport) bytesEach(r Round) float64 {
	n, _ := s.Scenario.held()
	return float64(r.AfterRSS-r.BaseRSS) / float64(n)
}

// values returns value of every round of the proxy that has a result.
func (s *ScenarioReport) values(proxy string, value func(Round) float64) []float64 {
	var xs []float64
	for _, r := range s.Rounds {
		if r.Proxy == proxy && r.Error == "" {
			xs = append(xs, value(r))
		}
	}
	return xs
}

// ratios compares the proxy with every other one, round by round: what slows the
// machine for a while slows both.
func (s *ScenarioReport) ratios(proxy string, names []string, value func(Round) float64) map[string]float64 {
	ratios := make(map[string]float64)
	for _, other := range names {
		var xs []float64
		for _, r := range s.Rounds {
			for _, o := range s.Rounds {
				if r.Proxy == proxy && o.Proxy == other && r.Round == o.Round &&
					r.Error == "" && o.Error == "" && value(o) > 0 {
					xs = append(xs, value(r)/value(o))
				}
			}
		}
		if other != proxy && len(xs) > 0 {
			ratios[other] = median(xs)
		}
	}
	return ratios
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
