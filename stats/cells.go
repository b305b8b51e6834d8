package stats

// touched marks the value of a gauge that Set or Dec has written, so that "used" can be told from "never used" without
// another memory access. It costs a gauge of a Block its top bit.
const touched = 1 << 63

// cells are the values of one scope, as one writer has them or merged. The slices are indexed by definition, histogram
// ordinal and status ordinal; entries are nil until first used.
type cells struct {
	values     []uint64
	histograms []*histogram
	statuses   []*statusCounts
}

func newCells(s *Schema) cells {
	return cells{
		values:     make([]uint64, len(s.defs)),
		histograms: make([]*histogram, len(s.histograms)),
		statuses:   make([]*statusCounts, len(s.statuses)),
	}
}

// gauge decodes the value of a gauge of a Block. It is negative when one worker takes away what another has added.
func gauge(cell uint64) (value int64, used bool) {
	return int64(cell<<1) >> 1, cell != 0
}

// copyHistograms copies the histograms that have changed since the last copy, and returns how many words it wrote.
func (c *cells) copyHistograms(o *cells) (words int) {
	for i, h := range o.histograms {
		if h == nil {
			continue
		}
		if c.histograms[i] == nil {
			c.histograms[i] = new(histogram)
		}
		if c.histograms[i].count != h.count {
			c.histograms[i].copyFrom(h)
			words += h.words()
		}
	}
	return words
}

// copyValues copies all but the histograms, and returns how many words it wrote.
func (c *cells) copyValues(o *cells) (words int) {
	copy(c.values, o.values)
	words = len(o.values)
	for i, s := range o.statuses {
		if s == nil {
			c.statuses[i] = nil // it may have been reset
			continue
		}
		if c.statuses[i] == nil {
			c.statuses[i] = new(statusCounts)
		}
		c.statuses[i].copyFrom(s)
		words += s.words()
	}
	return words
}

// resetCounters sets the counters to zero.
func (c *cells) resetCounters(s *Schema) {
	for i := range s.defs {
		if s.defs[i].Kind == Counter {
			c.values[i] = 0
		}
	}
	clear(c.statuses)
}

// resetGauges sets the gauges to zero.
func (c *cells) resetGauges(s *Schema) {
	for i := range s.defs {
		if s.defs[i].Kind == Gauge {
			c.values[i] = 0
		}
	}
}

// addCounts adds the counters, statuses and histograms of o, and leaves the gauges alone.
func (c *cells) addCounts(s *Schema, o *cells) {
	for i, v := range o.values {
		if s.defs[i].Kind == Counter {
			c.values[i] += v
		}
	}
	for i, st := range o.statuses {
		if st != nil {
			addStatus(&c.statuses[i], st)
		}
	}
	for i, h := range o.histograms {
		if h != nil {
			addHistogram(&c.histograms[i], h)
		}
	}
}

func addHistogram(dst **histogram, h *histogram) {
	if *dst == nil {
		*dst = new(histogram)
	}
	(*dst).add(h)
}

func addStatus(dst **statusCounts, s *statusCounts) {
	if *dst == nil {
		*dst = new(statusCounts)
	}
	(*dst).add(s)
}
