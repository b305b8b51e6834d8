package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// entry is one entry of a dynamic table, with what was found out about it when it was inserted: 16 bytes. A name that is
// well-known or in the static table is not stored.
type entry struct {
	offset   uint32 // of its bytes, name and then value, counted from the first that the table ever stored; wraps
	nameLen  uint16
	valueLen uint16
	id       message.NameID
	static   uint8 // index of a static entry with the same name, 0 when there is none
	pseudo   Pseudo
	note     uint8  // a decoder's Malformed; how often an encoder found it, 255 for more
	hash     uint32 // of an encoder's entry
}

// size is the size of the entry in bytes by RFC 7541 section 4.1.
func (e *entry) size() uint32 { return uint32(e.nameLen) + uint32(e.valueLen) + entryOverhead }

// storedName returns how many bytes of the name are stored.
func (e *entry) storedName() int {
	if e.id != message.NameOther || e.static != 0 {
		return 0
	}
	return int(e.nameLen)
}

// table is a dynamic table (RFC 7541 section 2.3.2). The bytes of its entries lie one after the other in store, so that
// inserting allocates nothing; those of evicted entries are overwritten only when room is made.
//
// Entries are numbered in the order of insertion, from 0, modulo 2^32. The live ones are the last count of them, and number
// i is at ring[i] modulo the length of ring, which is a power of 2.
type table struct {
	ring     []entry
	store    []byte
	base     uint32 // the offset of store[0]
	inserted uint32 // the number of the next entry
	count    uint32
	size     uint32 // sum of the sizes of the live entries
	max      uint32 // what size may be
}

// at returns the entry that is age insertions older than the newest, nil when there is none.
func (t *table) at(age uint32) *entry {
	if age >= t.count {
		return nil
	}
	return t.numbered(t.inserted - 1 - age)
}

// numbered returns the entry of a number.
func (t *table) numbered(number uint32) *entry { return &t.ring[number&uint32(len(t.ring)-1)] }

// oldest returns the oldest of the live entries, of which there must be one.
func (t *table) oldest() *entry { return t.numbered(t.inserted - t.count) }

// dropOldest evicts the oldest entry, of which there must be one.
func (t *table) dropOldest() {
	t.size -= t.oldest().size()
	t.count--
}

// evict evicts the oldest entries until size is at most limit.
func (t *table) evict(limit uint32) {
	for t.size > limit {
		t.dropOldest()
	}
}

// stored returns the bytes of an entry: its name, unless that is not stored, and its value. They are valid until the next
// call of reserve.
func (t *table) stored(e *entry) []byte {
	start := int(e.offset - t.base)
	return t.store[start : start+e.storedName()+int(e.valueLen)]
}

// reserve makes room for n more bytes of a new entry. It needs room for the live entries and the new one, but only for
// one of each: twice max.
func (t *table) reserve(n int) {
	if len(t.store)+n > cap(t.store) {
		t.makeRoom(n)
	}
}

// room returns what was reserved, as a slice to append to.
func (t *table) room() []byte { return t.store[len(t.store):] }

// makeRoom moves the bytes of the live entries to the start of the store, or to a larger one when they would fill more than
// half of it. So each byte is moved once on average at most, as the other half has to be filled before the next time.
func (t *table) makeRoom(n int) {
	start := len(t.store)
	if t.count > 0 {
		start = int(t.oldest().offset - t.base)
	}
	live := t.store[start:]
	to := t.store[:0]
	if need := len(live) + n; need > cap(to)/2 {
		if larger := min(max(2*need, 2*cap(to), minStore), 2*int(t.max)); larger > cap(to) {
			to = make([]byte, 0, larger)
		}
	}
	t.store = append(to, live...)
	t.base += uint32(start)
}

// push makes e, whose bytes are name and value, the newest entry. There must be room for it: in size, and for the bytes.
func (t *table) push(e entry, name, value []byte) {
	e.offset = t.base + uint32(len(t.store))
	t.store = append(append(t.store, name...), value...)
	if int(t.count) == len(t.ring) {
		t.growRing()
	}
	*t.numbered(t.inserted) = e
	t.inserted++
	t.count++
	t.size += e.size()
}

// growRing doubles the ring.
func (t *table) growRing() {
	old := *t
	t.ring = make([]entry, max(2*len(old.ring), minRing))
	for number := old.inserted - old.count; number != old.inserted; number++ {
		*t.numbered(number) = *old.numbered(number)
	}
}
