package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// find returns the index of a field in the dynamic table, 0 when it is not there. There must be an index.
func (e *Encoder) find(f *message.Field, p Pseudo, hash uint32) uint {
	t := &e.table
	for i, end := home(hash), home(hash)+maxProbes; i < end; i++ {
		slot := e.index[i%indexSlots]
		if slot == 0 {
			return 0
		}
		if (slot^hash)&slotHash != 0 {
			continue
		}
		if entry := t.numbered(slot); entry.hash == hash && t.holds(entry, f, p) {
			entry.note = max(entry.note+1, entry.note) // unless that wraps
			age := (t.inserted - 1 - slot) & slotNumber
			return uint(age) + staticCount + 1
		}
	}
	return 0
}

// holds reports whether an entry is the field.
func (t *table) holds(e *entry, f *message.Field, p Pseudo) bool {
	if e.id != f.ID || e.pseudo != p || int(e.nameLen) != len(f.Name) || int(e.valueLen) != len(f.Value) {
		return false
	}
	stored := t.stored(e)
	if n := e.storedName(); n != 0 {
		if string(stored[:n]) != string(f.Name) {
			return false
		}
		stored = stored[n:]
	}
	return string(stored) == string(f.Value)
}

// insert inserts a field, whose size must be no larger than the table, and reports whether it did: there may be no room in
// the index. hash is 0 when there was no index to look for it in.
func (e *Encoder) insert(f *message.Field, p Pseudo, static uint8, hash uint32) bool {
	if e.index == nil {
		e.index = new(encoderIndex)
		hash = sampleHash(f.Value, nameSeed(f, p))
	}
	t := &e.table
	if !e.index.put(hash, t.inserted) {
		return false
	}
	entry := entry{
		hash:     hash,
		nameLen:  uint16(len(f.Name)),
		valueLen: uint16(len(f.Value)),
		id:       f.ID,
		pseudo:   p,
	}
	if p != PseudoNone {
		// The name of an ordinary field is stored even if it is static: to look that up would cost find more than it costs to
		// compare the name.
		entry.static = static
	}
	for t.size > t.max-entry.size() {
		e.insertion.evicted(t.oldest().note)
		e.dropOldest()
	}
	name := f.Name[:entry.storedName()]
	t.reserve(len(name) + len(f.Value))
	t.push(entry, name, f.Value)
	return true
}

// dropOldest evicts the oldest entry, of which there must be one.
func (e *Encoder) dropOldest() {
	t := &e.table
	e.index.remove(t.oldest().hash, t.inserted-t.count)
	t.dropOldest()
}
