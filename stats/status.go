package stats

// The statuses that have a count of their own, as in Envoy; others are counted together.
const (
	minStatus = 100
	maxStatus = 599
	// statusPage is how many neighbouring codes are allocated together: small, because a cluster rarely sees more than a
	// handful, and a divisor of 100, so that no page spans two classes.
	statusPage = 20
)

// statusCounts counts responses by exact status.
type statusCounts struct {
	unknown uint64
	pages   [(maxStatus - minStatus + 1) / statusPage]*[statusPage]uint64
}

func (s *statusCounts) inc(status int) {
	i := uint(status - minStatus)
	if i > maxStatus-minStatus {
		s.unknown++
		return
	}
	page := s.pages[i/statusPage]
	if page == nil {
		page = new([statusPage]uint64)
		s.pages[i/statusPage] = page
	}
	page[i%statusPage]++
}

// each calls yield with the codes that were counted and their counts, ascending.
func (s *statusCounts) each(yield func(code int, n uint64)) {
	for p, page := range s.pages {
		if page == nil {
			continue
		}
		for i, n := range page {
			if n != 0 {
				yield(minStatus+p*statusPage+i, n)
			}
		}
	}
}

func (s *statusCounts) add(o *statusCounts) {
	s.unknown += o.unknown
	for p, page := range o.pages {
		if page == nil {
			continue
		}
		if s.pages[p] == nil {
			s.pages[p] = new([statusPage]uint64)
		}
		for i, n := range page {
			s.pages[p][i] += n
		}
	}
}

func (s *statusCounts) copyFrom(o *statusCounts) {
	s.unknown = o.unknown
	for p, page := range o.pages {
		if page == nil {
			s.pages[p] = nil
			continue
		}
		if s.pages[p] == nil {
			s.pages[p] = new([statusPage]uint64)
		}
		*s.pages[p] = *page
	}
}

// value returns what a part of a status statistic shows.
func (s *statusCounts) value(part statusPart) uint64 {
	if part == statusUnknown {
		return s.unknown
	}
	var sum uint64
	s.each(func(code int, n uint64) {
		if part == statusCompleted || part == statusPart(code/100) {
			sum += n
		}
	})
	if part == statusCompleted {
		sum += s.unknown
	}
	return sum
}

// words returns about how many words s occupies, the measure of a copy's cost.
func (s *statusCounts) words() int {
	n := 1 + len(s.pages)
	for _, page := range s.pages {
		if page != nil {
			n += statusPage
		}
	}
	return n
}
