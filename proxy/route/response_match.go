package route

import (
	"fmt"
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// fieldStatus is what matchers of responses call the status.
const fieldStatus = ":status"

// ResponseMatcher is a compiled config.ResponseMatch. It is immutable.
type ResponseMatcher struct {
	kind     config.ResponseMatchKind
	rules    []*ResponseMatcher
	fields   []headerMatcher
	statuses []statusSet // each of which must have the status
}

// statusSet has one bit for each status from 0 to 999: what a matcher says of them is asked once.
type statusSet [(1000 + 63) / 64]uint64

func (s *statusSet) has(status int) bool {
	return status >= 0 && status < 1000 && s[status/64]&(1<<(status%64)) != 0
}

// CompileResponseMatch compiles m, nil for nil. It must not change afterwards.
func CompileResponseMatch(m *config.ResponseMatch) (*ResponseMatcher, error) {
	if m == nil {
		return nil, nil
	}
	if m.Kind > config.ResponseMatchHeaders {
		return nil, fmt.Errorf("response match of kind %d is unknown", m.Kind)
	}
	if m.Kind == config.ResponseMatchNot && len(m.Rules) != 1 {
		return nil, fmt.Errorf("not_match of %d rules, want 1", len(m.Rules))
	}
	out := &ResponseMatcher{kind: m.Kind}
	for _, rule := range m.Rules {
		r, err := CompileResponseMatch(rule)
		if err != nil {
			return nil, err
		}
		out.rules = append(out.rules, r)
	}
	for i := range m.Headers {
		h, err := compileHeader(&m.Headers[i])
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", m.Headers[i].Name, err)
		}
		if m.Headers[i].Name == fieldStatus {
			out.statuses = append(out.statuses, h.statuses())
		} else {
			out.fields = append(out.fields, h)
		}
	}
	return out, nil
}

// statuses returns the statuses that m matches as if each were the value of a field.
func (m *headerMatcher) statuses() (set statusSet) {
	for status := range 1000 {
		if m.matchValue([]byte(strconv.Itoa(status)), 1, nil) {
			set[status/64] |= 1 << (status % 64)
		}
	}
	return set
}

// Match reports whether the head of a response matches.
func (m *ResponseMatcher) Match(resp *message.Response) bool {
	switch m.kind {
	case config.ResponseMatchOr:
		for _, rule := range m.rules {
			if rule.Match(resp) {
				return true
			}
		}
		return false
	case config.ResponseMatchAnd:
		for _, rule := range m.rules {
			if !rule.Match(resp) {
				return false
			}
		}
		return true
	case config.ResponseMatchNot:
		return !m.rules[0].Match(resp)
	case config.ResponseMatchHeaders:
		return m.matchHead(resp)
	default:
		return true
	}
}

func (m *ResponseMatcher) matchHead(resp *message.Response) bool {
	for i := range m.statuses {
		if !m.statuses[i].has(resp.Status) {
			return false
		}
	}
	for i := range m.fields {
		if !m.fields[i].matchFields(&resp.Fields) {
			return false
		}
	}
	return true
}
