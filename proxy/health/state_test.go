package health

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// flagNames are the names of the flags in tests.
var flagNames = []struct {
	flag config.HostHealth
	name string
}{
	{config.FailedActiveHC, "failed"}, {config.DegradedActiveHC, "degraded"}, {config.PendingActiveHC, "pending"},
	{config.ExcludedViaImmediateHCFail, "excluded"}, {config.ActiveHCTimeout, "timeout"},
}

// flagText words a set of flags: "well", or their names with a + between them.
func flagText(h config.HostHealth) string {
	var names []string
	for _, f := range flagNames {
		if h.Has(f.flag) {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return "well"
	}
	return strings.Join(names, "+")
}

// outcomes of dialogues, by a letter; with "!" the host asked to be excluded.
var letters = map[byte]outcome{
	'p': passed, 'd': degraded, 'f': failed, 'r': retriable, 'n': networkFailure, 't': timedOut, 'i': reported,
}

var transitionMarks = map[transition]string{unchanged: "", pending: "~", changed: "*"}

// dialogue puts outcomes into s, and returns the state after each: its flags, with ~ where another state is on its way, and *
// where something changed.
func dialogue(s *state, outcomes string, check *config.HealthCheck) string {
	var got []string
	for _, word := range strings.Fields(outcomes) {
		r := result{outcome: letters[word[0]], excluded: strings.HasSuffix(word, "!")}
		t := s.take(r, check)
		got = append(got, flagText(s.flags)+transitionMarks[t])
	}
	return strings.Join(got, " ")
}

func TestState(t *testing.T) {
	for _, tc := range []struct {
		name               string
		unhealthy, healthy uint32
		outcomes, want     string
	}{
		{"the first pass is enough", 3, 3, "p p", "well* well"},
		{"a failure first", 3, 3, "n p p p", "failed* failed~ failed~ well*"},
		{"a threshold of one", 1, 1, "p n p", "well* failed* well*"},
		{"failures of the network count", 3, 1, "p n t n n", "well* well~ well~ failed* failed"},
		{"a pass begins the count anew", 2, 1, "p n p n n", "well* well~ well well~ failed*"},
		{"a failure begins the count of passes anew", 1, 3, "f p p n p p p", "failed* failed~ failed~ failed failed~ failed~ well*"},
		{"an answer fails at once", 3, 1, "p f", "well* failed*"},
		{"a retriable status counts", 3, 1, "p r n r", "well* well~ well~ failed*"},
		{"a failure that does not count ends the count", 2, 1, "p n f p n n", "well* well~ failed* well* well~ failed*"},
		{"a timeout shows while it is the last failure", 1, 1, "p t n t p", "well* failed+timeout* failed* failed+timeout* well*"},
		{"a timeout below the threshold does not show", 2, 1, "p t t", "well* well~ failed+timeout*"},
		{"a timeout first", 2, 2, "t p p", "failed+timeout* failed+timeout~ well*"},
		{"degraded", 1, 1, "d d p d f p", "degraded* degraded well* degraded* failed+degraded* well*"},
		{"degraded on its way back", 1, 2, "f d d", "failed* failed+degraded~ degraded*"},
		{"excluded until it passes", 1, 2, "p f! f p p", "well* failed+excluded* failed+excluded failed+excluded~ well*"},
		{"not excluded while it is well", 2, 1, "p r! r!", "well* well~ failed+excluded*"},
		{"what traffic reports fails at once", 3, 1, "p i! p", "well* failed+excluded* well*"},
		{"excluded first", 1, 1, "f! p", "failed+excluded* well*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newState()
			if got := flagText(s.flags); got != "failed+pending" {
				t.Errorf("a new host is %s, want failed+pending", got)
			}
			check := &config.HealthCheck{UnhealthyThreshold: tc.unhealthy, HealthyThreshold: tc.healthy}
			if got := dialogue(&s, tc.outcomes, check); got != tc.want {
				t.Errorf("%s:\ngot  %s\nwant %s", tc.outcomes, got, tc.want)
			}
		})
	}
}

// TestStateOfAnotherCheck holds that what a former check found stands until the new one has found something, which then counts
// as a first probe.
func TestStateOfAnotherCheck(t *testing.T) {
	check := &config.HealthCheck{UnhealthyThreshold: 3, HealthyThreshold: 3}
	for _, tc := range []struct{ name, before, after, want string }{
		{"was well, passes", "p", "p n n n", "well well~ well~ failed*"},
		{"was well, fails", "p", "n p p p", "failed* failed~ failed~ well*"},
		{"was failed, passes", "n", "p", "well*"},
		{"was failed, fails", "n", "n p", "failed failed~"},
		{"had failed twice", "p n n", "p n n n", "well well~ well~ failed*"},
		{"was not checked", "", "p", "well*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := newState()
			dialogue(&before, tc.before, check)
			s := newStateAfter(&before)
			if s.flags != before.flags || s.known() != before.known() {
				t.Errorf("begins as %s, known %v, want %s, %v", flagText(s.flags), s.known(), flagText(before.flags), before.known())
			}
			again := newStateAfter(&s) // changed once more before anything was found
			for _, s := range []state{s, again} {
				if got := dialogue(&s, tc.after, check); got != tc.want {
					t.Errorf("%s:\ngot  %s\nwant %s", tc.after, got, tc.want)
				}
			}
		})
	}
}
