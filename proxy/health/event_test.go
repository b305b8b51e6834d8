package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// lines is an EventLog in memory.
type lines struct {
	text   strings.Builder
	closed int
}

func (l *lines) WriteLine(line []byte) { l.text.Write(line) }
func (l *lines) Close()                { l.closed++ }

// kinds returns the events without what all have.
func (l *lines) kinds(t *testing.T) (kinds []string) {
	t.Helper()
	for line := range strings.Lines(l.text.String()) {
		var event map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event["timestamp"] == nil {
			t.Errorf("%q has no timestamp", line)
		}
		for name, value := range event {
			if strings.HasSuffix(name, "_event") || strings.HasSuffix(name, "_host") {
				kinds = append(kinds, fmt.Sprintf("%s %s", name, value))
			}
		}
	}
	return kinds
}

func TestEvents(t *testing.T) {
	const eject, add, fail = "eject_unhealthy_event ", "add_healthy_event ", "health_check_failure_event "
	for name, tc := range map[string]struct {
		check    config.HealthCheck
		outcomes []outcome
		want     []string
	}{
		"well at first": {outcomes: []outcome{passed, passed}, want: []string{add + `{"first_check":true}`}},
		"failed at first": {outcomes: []outcome{timedOut, networkFailure, passed, passed}, want: []string{
			fail + `{"failure_type":"NETWORK_TIMEOUT","first_check":true,"http_status_code":503}`, add + `{"first_check":false}`}},
		"ejected": {outcomes: []outcome{passed, networkFailure, networkFailure}, want: []string{
			add + `{"first_check":true}`, eject + `{"failure_type":"NETWORK","http_status_code":503}`}},
		"by traffic": {outcomes: []outcome{passed, reported}, want: []string{
			add + `{"first_check":true}`, eject + `{"failure_type":"PASSIVE","http_status_code":503}`}},
		"degraded": {outcomes: []outcome{degraded, degraded, passed}, want: []string{
			add + `{"first_check":true}`, "degraded_healthy_host {}", "no_longer_degraded_host {}"}},
		"all": {check: config.HealthCheck{LogFailures: true, LogSuccesses: true}, outcomes: []outcome{passed, failed, failed}, want: []string{
			add + `{"first_check":true}`, "successful_health_check_event {}", eject + `{"failure_type":"ACTIVE","http_status_code":503}`,
			fail + `{"failure_type":"ACTIVE","first_check":false,"http_status_code":503}`, fail + `{"failure_type":"ACTIVE","first_check":false,"http_status_code":503}`}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.check.UnhealthyThreshold, tc.check.HealthyThreshold = 2, 2
			log := &lines{}
			e := events{logs: []EventLog{log}}
			s := &session{check: &tc.check, state: newState()}
			for _, o := range tc.outcomes {
				before, first := s.state.flags, s.state.first
				s.state.take(result{outcome: o}, s.check)
				e.tell(s, result{outcome: o, status: 503}, before, first)
			}
			if got := log.kinds(t); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestEventLine holds the names and the form of a line.
func TestEventLine(t *testing.T) {
	log := &lines{}
	e := events{logs: []EventLog{log}}
	s := &session{
		cluster: "c", check: &config.HealthCheck{TCP: &config.TCPHealthCheck{}}, state: newState(),
		endpoint: config.Endpoint{Address: config.Address{IP: "10.0.0.1", Port: 80}},
	}
	before := s.state.flags
	s.state.take(result{outcome: passed}, s.check)
	e.tell(s, result{outcome: passed}, before, true)
	const want = `{"health_checker_type":"TCP","host":{"socket_address":{"address":"10.0.0.1","port_value":80,"protocol":"TCP"}},` +
		`"cluster_name":"c","add_healthy_event":{"first_check":true},"timestamp":"`
	if got := log.text.String(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "Z\"}\n") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestEventLogs opens what is new, closes what is gone, and goes on where a file cannot be opened.
func TestEventLogs(t *testing.T) {
	opened := make(map[string]*lines)
	c := newChecker(zap.NewNop(), nil)
	c.openLog = func(path string) (EventLog, error) {
		if path == "bad" {
			return nil, errors.New("cannot be opened")
		}
		opened[path] = &lines{}
		return opened[path], nil
	}
	of := func(paths ...string) *config.Cluster {
		return &config.Cluster{HealthCheck: &config.HealthCheck{EventLogs: paths}}
	}
	var e events
	e.reopen(c, of("a", "bad"))
	first := opened["a"]
	if e.reopen(c, of("a", "bad")); opened["a"] != first || first.closed != 0 || len(e.logs) != 1 {
		t.Errorf("the same paths were opened again: %+v", e)
	}
	if e.reopen(c, of("b")); first.closed != 1 || opened["b"].closed != 0 {
		t.Errorf("a was closed %d times, b %d", first.closed, opened["b"].closed)
	}
	if e.close(); opened["b"].closed != 1 {
		t.Errorf("b was closed %d times", opened["b"].closed)
	}
}
