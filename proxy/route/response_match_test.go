package route

import (
	"regexp"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestResponseMatchStatus holds that the status is matched as the value of a field would be, and costs nothing then.
func TestResponseMatchStatus(t *testing.T) {
	status := func(m config.HeaderMatcher) config.HeaderMatcher { m.Name = fieldStatus; return m }
	for name, test := range map[string]struct {
		header config.HeaderMatcher
		is     []int
		isNot  []int
	}{
		"exact":    {status(config.HeaderMatcher{Kind: config.HeaderString, String: config.StringMatcher{Value: "404"}}), []int{404}, []int{403, 405, 40}},
		"range":    {status(config.HeaderMatcher{Kind: config.HeaderRange, Start: 500, End: 600}), []int{500, 599}, []int{499, 600, 1000, -1}},
		"inverted": {status(config.HeaderMatcher{Kind: config.HeaderRange, Start: 200, End: 300, Invert: true}), []int{199, 300, 999}, []int{200, 299}},
		"regex": {status(config.HeaderMatcher{Kind: config.HeaderString, String: config.StringMatcher{Kind: config.StringRegex, Regex: regexp.MustCompile(`^5\d\d$`)}}),
			[]int{500, 503}, []int{200, 499}},
		"present": {status(config.HeaderMatcher{Kind: config.HeaderPresent, Present: true}), []int{100, 999}, []int{1000}},
	} {
		m, err := CompileResponseMatch(&config.ResponseMatch{Kind: config.ResponseMatchHeaders, Headers: []config.HeaderMatcher{test.header}})
		if err != nil {
			t.Fatal(err)
		}
		for want, statuses := range map[bool][]int{true: test.is, false: test.isNot} {
			for _, status := range statuses {
				resp := &message.Response{Status: status}
				if got := m.Match(resp); got != want {
					t.Errorf("%s: %d matches is %t, want %t", name, status, got, want)
				}
				if n := testing.AllocsPerRun(100, func() { m.Match(resp) }); n != 0 {
					t.Errorf("%s: %v allocations", name, n)
				}
			}
		}
	}
}
