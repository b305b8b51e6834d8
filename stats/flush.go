package stats

import (
	"context"
	"sync"
	"time"
)

// windowSlots is how many flush intervals a Window spans: a minute, at FlushInterval.
const windowSlots = 12

// Flush ends an interval: what histograms received since the last call becomes their interval, and the newest part of
// every Window. The owner of the store calls it every FlushInterval.
func (s *Store) Flush() {
	s.gather(context.Background(), passHistograms, func() {
		now := s.options.Now()
		windows := s.rotateWindows(now.Sub(s.flushedAt))
		s.flushedAt = now
		for _, sc := range s.sortedScopes() {
			sc.flush(windows)
		}
	})
}

// flush ends the interval of the histograms of sc.
func (sc *Scope) flush(windows []*Window) {
	sc.intervals.Store(nil)
	if len(sc.schema.histograms) == 0 || sc.mirrors == nil && sc.retired == nil && sc.shared.Load() == nil {
		return
	}
	if sc.flushed == nil {
		sc.flushed = make([]*histogram, len(sc.schema.histograms))
	}
	var intervals []*histogram
	for i, def := range sc.schema.histograms {
		total, unchanged := sc.mergeHistogram(i, sc.flushed[i])
		if unchanged {
			continue
		}
		if intervals == nil {
			intervals = make([]*histogram, len(sc.schema.histograms))
		}
		intervals[i] = total.since(sc.flushed[i])
		sc.flushed[i] = total
		if sc.hidden {
			continue
		}
		name := sc.prefix + sc.schema.defs[def].Name
		for _, w := range windows {
			w.add(name, sc.schema.defs[def].Unit, intervals[i])
		}
	}
	if intervals != nil {
		sc.intervals.Store(&intervals)
	}
}

// Window is the last minute of some histograms, taken together. It grows at every Flush.
type Window struct {
	match func(name string) bool

	mu    sync.Mutex // guards all below
	slots [windowSlots]windowSlot
	newer int // the slot of the latest flush
	unit  Unit
	// matches remembers what match said; names of histograms that are gone are dropped with the rest when it is full.
	matches map[string]bool
}

// windowMatches bounds Window.matches: several per connection manager of a large configuration.
const windowMatches = 16 << 10

type windowSlot struct {
	h    histogram
	span time.Duration
}

// NewWindow returns a Window over the histograms whose full names match, hidden ones excluded. They should be of one unit.
func (s *Store) NewWindow(match func(name string) bool) *Window {
	w := &Window{match: match, matches: map[string]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows = append(s.windows, w)
	return w
}

// rotateWindows makes room for an interval of that length in every window, and returns the windows.
func (s *Store) rotateWindows(span time.Duration) []*Window {
	s.mu.Lock()
	windows := s.windows[:len(s.windows):len(s.windows)]
	s.mu.Unlock()
	for _, w := range windows {
		w.mu.Lock()
		w.newer = (w.newer + 1) % windowSlots
		w.slots[w.newer] = windowSlot{span: span}
		w.mu.Unlock()
	}
	return windows
}

func (w *Window) add(name string, unit Unit, h *histogram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	matches, known := w.matches[name]
	if !known {
		if len(w.matches) >= windowMatches {
			clear(w.matches)
		}
		matches = w.match(name)
		w.matches[name] = matches
	}
	if matches {
		w.unit = unit
		w.slots[w.newer].h.add(h)
	}
}

// Last returns what the histograms received in the last minute before the latest Flush, or since the store was made, and
// how long that was.
func (w *Window) Last() (d Distribution, span time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := new(histogram)
	for i := range w.slots {
		sum.add(&w.slots[i].h)
		span += w.slots[i].span
	}
	return Distribution{h: sum, unit: w.unit}, span
}

// PerSecond returns the rate of values over the last minute.
func (w *Window) PerSecond() float64 {
	d, span := w.Last()
	if span <= 0 {
		return 0
	}
	return float64(d.Count()) / span.Seconds()
}
