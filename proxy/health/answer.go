package health

import (
	"fmt"
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Fields of an answer that say more than its status.
const (
	fieldDegraded      = "x-envoy-degraded"
	fieldImmediateFail = "x-envoy-immediate-health-check-fail"
	fieldCluster       = "x-envoy-upstream-healthchecked-cluster"
)

// answer is what an HTTP host answered, whatever is spoken.
type answer struct {
	status                  int
	body                    []byte // what came of it, at most MaxHealthResponseBytes
	degraded, immediateFail bool   // the fields were there
	cluster                 string // what the host says it is, empty for nothing
}

// judge says what the answer means.
func (a *answer) judge(check *config.HTTPHealthCheck) result {
	if !found(check.Receive, a.body[:min(len(a.body), check.ResponseBytes)]) {
		return result{outcome: failed, excluded: a.immediateFail, status: a.status, why: fmt.Sprintf(
			"status %d, and what is expected is not among the first %d bytes of the body", a.status, check.ResponseBytes)}
	}
	if !within(a.status, check.Expected) {
		r := result{outcome: failed, excluded: a.immediateFail, status: a.status, why: fmt.Sprintf("status %d", a.status)}
		if within(a.status, check.Retriable) {
			r.outcome = retriable
		}
		return r
	}
	r := result{outcome: passed, verified: check.ServiceName != nil}
	if r.verified && !check.ServiceName.Matches(a.cluster) {
		return result{outcome: failed, verified: true, status: a.status, why: fmt.Sprintf("it says that it is of the service %q", a.cluster)}
	}
	if a.degraded {
		r.outcome = degraded
	}
	return r
}

func within(status int, ranges []config.StatusRange) bool {
	return slices.ContainsFunc(ranges, func(r config.StatusRange) bool { return r.Start <= status && status < r.End })
}

// field is a field of a request, its name in lower case.
type field struct{ name, value string }

// requestFields returns the fields of a probe: our own, without those that the check removes, and with those it adds.
func requestFields(add []config.HeaderValue, remove []string) []field {
	fields := []field{{"user-agent", userAgent}}
	fields = slices.DeleteFunc(fields, func(f field) bool { return slices.Contains(remove, f.name) })
	for _, h := range add {
		same := func(f field) bool { return f.name == h.Name }
		has := slices.ContainsFunc(fields, same)
		switch {
		case h.Value == "" && !h.KeepEmpty,
			h.Action == config.AddIfAbsent && has,
			h.Action == config.OverwriteIfExists && !has:
			continue
		case h.Action == config.OverwriteIfExists, h.Action == config.OverwriteIfExistsOrAdd:
			fields = slices.DeleteFunc(fields, same)
		}
		fields = append(fields, field{h.Name, h.Value})
	}
	return fields
}
