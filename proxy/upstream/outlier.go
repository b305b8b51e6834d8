package upstream

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// JudgeBy has outlier detection take the answers for errors of whose heads failed says so; with nil it goes by their statuses.
func (k *Cluster) JudgeBy(failed func(*message.Response) bool) { k.failed = failed }

// Judge returns what outlier detection takes for an error, nil where it goes by statuses.
func (k *Cluster) Judge() (failed func(*message.Response) bool) { return k.failed }

// Answered takes note of the status that the host has answered with, for outlier detection. It is called once for a request; one
// that was not answered is taken note of by Release.
func (l *Lease) Answered(status int) {
	h := l.host
	if h.monitor == nil || l.answered {
		return
	}
	l.answered = true
	h.Counts.Total++
	h.Counts.LocalTotal++
	h.Counts.LocalSuccess++
	if status < 500 {
		h.Counts.Success++
	}
	h.monitor.Answered(status)
}

// Late takes note of a request that was not answered in time, and whose answer is waited for nevertheless.
func (l *Lease) Late() {
	l.unanswered(TimedOut)
	l.late = true
}

// unanswered takes note of a request that ended without an answer. One that the client has given up says nothing of the host.
func (l *Lease) unanswered(outcome Outcome) {
	h := l.host
	if h.monitor == nil || l.answered || l.late && outcome == TimedOut || outcome != ServerError && outcome != TimedOut {
		return
	}
	h.Counts.LocalTotal++
	if !h.monitor.Split() {
		h.Counts.Total++
	}
	h.monitor.Unanswered(outcome == TimedOut)
}
