package bench

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// goal is a stated limit for proxy-alb in one scenario.
type goal struct {
	scenario string
	// peer the CPU per request is compared with; "" for bytes per connection.
	peer  string
	limit float64
}

// goals are what justifies a proxy of one's own: a request costs less than with
// either peer, and 100,000 idle connections fit in 200 MiB.
func goals() []goal {
	return []goal{
		{h1Small, peer.Nginx, 0.90},
		{h1Small, peer.HAProxy, 0.80},
		{idle10k, "", 2 << 10},
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
	verdict := "not met"
	switch {
	case !g.Measured:
		return fmt.Sprintf("goal %s: not measured", g.Goal)
	case g.Met:
		verdict = "met"
	}
	return fmt.Sprintf("goal %s: %s (%.4g)", g.Goal, verdict, g.Value)
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
	result := GoalResult{Limit: g.limit}
	if g.peer != "" {
		result.Goal = fmt.Sprintf("%s: CPU per request at most %.2f of %s's", g.scenario, g.limit, g.peer)
	} else {
		result.Goal = fmt.Sprintf("%s: at most %.0f bytes per connection", g.scenario, g.limit)
	}
	for _, sum := range s.Summary {
		if sum.Proxy != peer.ProxyALB || sum.Rounds == 0 {
			continue
		}
		if g.peer == "" {
			result.Value, result.Measured = sum.BytesPerConnection, true
		} else {
			result.Value, result.Measured = sum.CPURatio[g.peer], sum.CPURatio[g.peer] > 0
		}
	}
	result.Met = result.Measured && result.Value <= g.limit
	return result
}
