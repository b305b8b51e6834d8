package bench

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench/load"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// goal is a stated limit for proxy-alb in one scenario.
type goal struct {
	scenario string
	what     string // the limit in words
	limit    float64
	value    func(Summary) (value float64, measured bool)
}

// growthLimit is what one large answer may add to the memory at its peak: twice the
// default window of a stream, and a small part of the answer.
const growthLimit = 32 << 20

// Goals of TLS, in parts of nginx's CPU time. Small answers over connections that stay are what a proxy mostly has, and there
// its own cost counts as in cleartext. In a handshake nearly all is cryptography, where OpenSSL's assembly is the measure; a
// resumed one has half of that, a key exchange and no signature.
const (
	tlsKeepAliveRatio = 0.90
	tlsHandshakeRatio = 1.5
	tlsResumeRatio    = 1.2
)

// goals are what justifies a proxy of one's own: a request costs less than with any
// peer, 100,000 idle connections fit in 200 MiB, a stream costs no more than what was
// configured for it, and the size of a body costs no memory.
func goals() []goal {
	buffers := stalledBuffers()
	return []goal{
		cpuGoal(h1Small, peer.Nginx, 0.90),
		cpuGoal(h1Small, peer.HAProxy, 0.80),
		cpuGoal(h2ToH2, peer.Nghttpx, 0.70),
		cpuGoal(h2ToH2, peer.HAProxy, 0.55),
		cpuGoal(h2ToH1, peer.HAProxy, 0.80),
		cpuGoal(h2ToH1, peer.Nginx, 0.65),
		cpuGoal(grpcUnary, peer.Nghttpx, 0.70),
		cpuGoal(grpcUnary, peer.HAProxy, 0.55),
		cpuGoal(tlsH1, peer.Nginx, tlsKeepAliveRatio),
		cpuGoal(tlsHandshake, peer.Nginx, tlsHandshakeRatio),
		cpuGoal(tlsResume, peer.Nginx, tlsResumeRatio),
		memoryGoal(idle10k, "connection", 2<<10),
		memoryGoal(h2Stalled, "stream", float64(2*(buffers.Data+buffers.StreamWindow))),
		{
			scenario: h2Large, limit: growthLimit, what: fmt.Sprintf("memory grows at most %d bytes", growthLimit),
			value: func(s Summary) (float64, bool) { return s.Growth, true },
		},
		callGoal("p99 of calls without requests at most 1 ms", func(b *Beside) load.Result { return b.Alone }),
		callGoal("p99 of calls beside requests at most 1 ms", func(b *Beside) load.Result { return b.Calls }),
		updateGoal("ms until a push is served at most 1000", 1000, func(u *Update) float64 { return u.Applied.Seconds() * 1000 }),
		updateGoal("p99 during the push at most 2 times that before", 2, func(u *Update) float64 { return float64(u.P99During) / float64(u.P99Before) }),
		updateGoal("ms until one changed endpoint is reached at most 10", 10, func(u *Update) float64 { return u.Visible.Seconds() * 1000 }),
		{
			scenario: xds10k, limit: pushMemory, what: fmt.Sprintf("memory after the push at most %d bytes", int64(pushMemory)),
			value: func(s Summary) (float64, bool) { return s.AfterRSS, true },
		},
	}
}

// pushMemory is the memory that the large configuration may take: what comes of 20,000
// resources and 50,000 endpoints, and the process as it is without.
const pushMemory = 400e6

func updateGoal(what string, limit float64, value func(*Update) float64) goal {
	return goal{
		scenario: xds10k, limit: limit, what: what,
		value: func(s Summary) (float64, bool) { return value(s.Update), s.Update.P99Before > 0 },
	}
}

// callGoal is in milliseconds.
func callGoal(what string, of func(*Beside) load.Result) goal {
	return goal{
		scenario: moduleCalls, limit: 1, what: what,
		value: func(s Summary) (float64, bool) { return of(s.Beside).P99.Seconds() * 1000, of(s.Beside).P99 > 0 },
	}
}

func cpuGoal(scenario, peer string, limit float64) goal {
	return goal{
		scenario: scenario, limit: limit, what: fmt.Sprintf("CPU per request at most %.2f of %s's", limit, peer),
		value: func(s Summary) (float64, bool) { return s.CPURatio[peer], s.CPURatio[peer] > 0 },
	}
}

func memoryGoal(scenario, unit string, limit float64) goal {
	return goal{
		scenario: scenario, limit: limit, what: fmt.Sprintf("at most %.0f bytes per %s", limit, unit),
		value: func(s Summary) (float64, bool) { return s.BytesEach, true },
	}
}

// GoalResult says how a goal was met.
type GoalResult struct {
	Goal     string  `json:"goal"`
	Limit    float64 `json:"limit"`
	Measured bool    `json:"measured"`
	Value    float64 `json:"value"` // of measured goals
	Met      bool    `json:"met"`
}

// String returns one line of text.
func (g GoalResult) String() string {
	if !g.Measured {
		return fmt.Sprintf("goal %s: not measured", g.Goal)
	}
	return fmt.Sprintf("goal %s: %s (%s)", g.Goal, g.verdict(), Plain(g.Value))
}

func (g GoalResult) verdict() string {
	if g.Met {
		return "met"
	}
	return "not met"
}

// Plain writes a ratio with its decimals and a size in bytes without.
func Plain(x float64) string {
	if x >= 1000 || x <= -1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.4g", x)
}

// judge holds the report against the goals of the scenarios it has.
func (r Report) judge() []GoalResult {
	var results []GoalResult
	for _, g := range goals() {
		for _, s := range r.Scenarios {
			if s.Scenario.Name == g.scenario {
				results = append(results, g.judge(s))
			}
		}
	}
	return results
}

func (g goal) judge(s ScenarioReport) GoalResult {
	result := GoalResult{Goal: g.scenario + ": " + g.what, Limit: g.limit}
	for _, sum := range s.Summary {
		if sum.Proxy == peer.ProxyALB && sum.Rounds > 0 {
			result.Value, result.Measured = g.value(sum)
		}
	}
	result.Met = result.Measured && result.Value <= g.limit
	return result
}
