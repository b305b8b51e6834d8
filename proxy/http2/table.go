package http2

// streamTable finds streams by their identifiers. These are odd numbers that go up, so their low bits spread them evenly over
// the buckets. The zero value is empty.
type streamTable struct {
	buckets []*Stream // chains; a power of two of them, nil when there never was a stream
	count   int
}

const (
	// minBuckets is the size of a table that has its first stream.
	minBuckets = 8
	// maxIdleBuckets is the size that a table without streams keeps at most, 2 KiB.
	maxIdleBuckets = 256
)

func (t *streamTable) bucket(id uint32) **Stream { return &t.buckets[int(id>>1)&(len(t.buckets)-1)] }

// find returns the stream id, nil when it is not there.
func (t *streamTable) find(id uint32) *Stream {
	if t.count == 0 {
		return nil
	}
	s := *t.bucket(id)
	for s != nil && s.id != id {
		s = s.chain
	}
	return s
}

// add takes s in, which is not there yet.
func (t *streamTable) add(s *Stream) {
	if t.count == len(t.buckets) {
		t.grow()
	}
	t.count++
	b := t.bucket(s.id)
	s.chain, *b = *b, s
}

func (t *streamTable) grow() {
	old := t.buckets
	t.buckets = make([]*Stream, max(minBuckets, 2*len(old)))
	for _, s := range old {
		for s != nil {
			next := s.chain
			b := t.bucket(s.id)
			s.chain, *b = *b, s
			s = next
		}
	}
}

// remove takes s out, which is there.
func (t *streamTable) remove(s *Stream) {
	b := t.bucket(s.id)
	for *b != s {
		b = &(*b).chain
	}
	*b, s.chain = s.chain, nil
	if t.count--; t.count == 0 && len(t.buckets) > maxIdleBuckets {
		t.buckets = nil // a connection that was busy once does not hold a large table for ever
	}
}

// each calls f for every stream, in no order. f may remove the stream it is called with, and no other.
func (t *streamTable) each(f func(*Stream)) {
	if t.count == 0 {
		return
	}
	for _, s := range t.buckets {
		for s != nil {
			next := s.chain
			f(s)
			s = next
		}
	}
}
