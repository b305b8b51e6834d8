package orca

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// Load is what the reports of a host say, since it was last asked for. The zero value is none.
type Load struct {
	// Weight is that of the last report.
	Weight uint32
	// First and Last are when the first and the last report came, in nanoseconds on the clock of the workers.
	First, Last int64
}

// Note takes a report.
func (l *Load) Note(weight uint32, now int64) {
	if l.Last == 0 {
		l.First = now
	}
	l.Weight, l.Last = weight, now
}

// Add adds the reports that another worker has had.
func (l *Load) Add(o Load) {
	if l.Last == 0 {
		*l = o
		return
	}
	l.First = min(l.First, o.First)
	if o.Last > l.Last {
		l.Weight, l.Last = o.Weight, o.Last
	}
}

// Weights are those of the hosts of a cluster. They are immutable; nil gives all the same.
type Weights struct {
	byHost     map[config.Address]uint32
	byPriority map[uint32]uint32 // of hosts that have none of their own
}

// Of returns the weight of a host, at least 1.
func (w *Weights) Of(host config.Address, priority uint32) uint32 {
	if w == nil {
		return 1
	}
	if weight, ok := w.byHost[host]; ok {
		return max(weight, 1)
	}
	return max(w.byPriority[priority], 1)
}

// history is what is known of the reports of a host.
type history struct {
	weight      uint32
	since, last int64 // since 0: of none that still count
}

// weightAt returns the weight that the host has at a time. A host whose reports have ceased begins anew.
func (h *history) weightAt(now int64, cfg *config.LoadReports) (weight uint32, ok bool) {
	switch {
	case h.since == 0 || now-h.since < int64(cfg.Blackout):
		return 0, false
	case now-h.last > int64(cfg.Expiration):
		h.since = 0
		return 0, false
	}
	return h.weight, true
}

// note takes the reports that have come.
func (h *history) note(l Load) {
	if h.since == 0 {
		h.since = l.First
	}
	h.weight, h.last = l.Weight, l.Last
}

// median returns that of weights, which it sorts: the mean of the two in the middle where they are even in number, 1 where there are
// none.
func median(weights []uint32) uint32 {
	n := len(weights)
	if n == 0 {
		return 1
	}
	slices.Sort(weights)
	if n%2 == 1 {
		return weights[n/2]
	}
	return uint32((uint64(weights[n/2-1]) + uint64(weights[n/2])) / 2)
}
