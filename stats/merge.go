package stats

// merged are the values of one scope over all its writers.
type merged struct {
	cells
	used []uint64 // a bit per value
}

func (m *merged) use(i int) { m.used[i/64] |= 1 << (i % 64) }

func (m *merged) isUsed(i int) bool { return m.used[i/64]&(1<<(i%64)) != 0 }

// merge returns the values of sc over all writers, or nil when nobody has written any. It is called by the function
// given to gather.
func (sc *Scope) merge() *merged {
	shared := sc.shared.Load()
	if sc.mirrors == nil && sc.retired == nil && shared == nil {
		return nil
	}
	m := &merged{cells: newCells(sc.schema), used: make([]uint64, (len(sc.schema.defs)+63)/64)}
	for o := sc.mirrors; o != nil; o = o.next {
		m.addCounts(sc.schema, &o.cells)
		m.addGauges(sc.schema, &o.cells)
	}
	if sc.retired != nil {
		m.addCounts(sc.schema, &sc.retired.cells)
	}
	m.finishGauges(sc.schema)
	if shared != nil {
		m.addShared(sc.schema, shared)
	}
	for i, v := range m.values {
		if v != 0 {
			m.use(i)
		}
	}
	return m
}

// addGauges adds the gauges that one worker has; sums may be negative until all workers are in.
func (m *merged) addGauges(s *Schema, o *cells) {
	for i := range s.defs {
		if s.defs[i].Kind != Gauge || o.values[i] == 0 {
			continue
		}
		v, _ := gauge(o.values[i])
		if s.defs[i].Merge == Max {
			m.values[i] = max(m.values[i], uint64(max(v, 0)))
		} else {
			m.values[i] += uint64(v)
		}
		m.use(i)
	}
}

// finishGauges makes sums that are negative zero: the copies of two workers are not of the same instant, so that a
// decrement may be seen before its increment.
func (m *merged) finishGauges(s *Schema) {
	for i := range s.defs {
		if s.defs[i].Kind == Gauge && int64(m.values[i]) < 0 {
			m.values[i] = 0
		}
	}
}

func (m *merged) addShared(s *Schema, shared *sharedCells) {
	for i := range shared.values {
		v := shared.values[i].Load()
		if s.defs[i].Kind == Gauge && s.defs[i].Merge == Max {
			m.values[i] = max(m.values[i], v)
		} else {
			m.values[i] += v
		}
		if shared.isUsed(i) {
			m.use(i)
		}
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for i, h := range shared.histograms {
		if h != nil {
			addHistogram(&m.histograms[i], h)
		}
	}
	for i, st := range shared.statuses {
		if st != nil {
			addStatus(&m.statuses[i], st)
		}
	}
}

// mergeHistogram returns histogram ordinal i over all writers. It reports unchanged, without merging, when there are no
// more values than in known, an earlier result.
func (sc *Scope) mergeHistogram(i int, known *histogram) (total *histogram, unchanged bool) {
	shared := sc.shared.Load()
	if shared != nil {
		shared.mu.Lock()
		defer shared.mu.Unlock()
	}
	var parts [16]*histogram // more workers than that only cost an allocation
	list := parts[:0]
	for o := sc.mirrors; o != nil; o = o.next {
		list = append(list, o.histograms[i])
	}
	if sc.retired != nil {
		list = append(list, sc.retired.histograms[i])
	}
	if shared != nil {
		list = append(list, shared.histograms[i])
	}
	var count uint64
	for _, h := range list {
		if h != nil {
			count += h.count
		}
	}
	if count == 0 || known != nil && known.count == count {
		return nil, true
	}
	total = new(histogram)
	for _, h := range list {
		if h != nil {
			total.add(h)
		}
	}
	return total, false
}
