package message

import "bytes"

// Field is one header or trailer field line (RFC 9110 section 5).
//
// Name is lower-case. Name and Value are borrowed: they point into a connection's read buffer or into the arena of the
// exchange that added them, and live as long as the message they belong to.
//
// NeverIndexed says that whoever sent the field forbade to keep its value in a table from which it could be guessed, and
// that it must be passed on in the same way (RFC 7541 section 7.1.3).
type Field struct {
	Name         []byte
	Value        []byte
	ID           NameID
	NeverIndexed bool
}

// Fields is an ordered list of field lines; a name may occur more than once. The zero value is empty and ready to use.
// A set of the well-known names present is kept beside the list, so that asking for an absent one costs no walk.
type Fields struct {
	list     []Field
	present  [nameWords]uint64
	spelling *Spelling // nil where names are not to be spelled as they came
}

// Len returns the number of field lines.
func (f *Fields) Len() int { return len(f.list) }

// All returns the field lines in order. The slice is valid until the next change of f.
func (f *Fields) All() []Field { return f.list }

// Reset empties f and lets go of the bytes it borrowed; the list's capacity is kept.
func (f *Fields) Reset() {
	clear(f.list)
	f.list = f.list[:0]
	f.present = [nameWords]uint64{}
	f.spelling = nil
}

// Has reports whether a field of the well-known name id is present. It is only meaningful for id other than NameOther.
func (f *Fields) Has(id NameID) bool { return f.present[id>>6]&(1<<(id&63)) != 0 }

// Add appends a field line of the well-known name id. The value is borrowed.
func (f *Fields) Add(id NameID, value []byte) {
	f.list = append(f.list, Field{Name: names[id], Value: value, ID: id})
	f.present[id>>6] |= 1 << (id & 63)
}

// Append appends a field line as it is. Its ID must be that of its name.
func (f *Fields) Append(field Field) {
	f.list = append(f.list, field)
	f.present[field.ID>>6] |= 1 << (field.ID & 63)
}

// AddRaw appends a field line with its name as given, which must be lower-case. Name and value are borrowed.
func (f *Fields) AddRaw(name, value []byte) {
	id := LookupName(name)
	f.list = append(f.list, Field{Name: name, Value: value, ID: id})
	f.present[id>>6] |= 1 << (id & 63)
}

// Get returns the value of the first field line of the well-known name id.
func (f *Fields) Get(id NameID) (value []byte, ok bool) {
	if !f.Has(id) {
		return nil, false
	}
	for i := range f.list {
		if f.list[i].ID == id {
			return f.list[i].Value, true
		}
	}
	return nil, false
}

// GetName returns the value of the first field line called name, which must be lower-case.
func (f *Fields) GetName(name []byte) (value []byte, ok bool) {
	if id := LookupName(name); id != NameOther {
		return f.Get(id)
	}
	for i := range f.list {
		if f.list[i].ID == NameOther && bytes.Equal(f.list[i].Name, name) {
			return f.list[i].Value, true
		}
	}
	return nil, false
}

// Set gives the well-known name id exactly one field line with the given value: the first one keeps its place, others
// are removed, and it is appended when there was none. The value is borrowed.
func (f *Fields) Set(id NameID, value []byte) {
	if !f.Has(id) {
		f.Add(id, value)
		return
	}
	first := 0
	for f.list[first].ID != id {
		first++
	}
	f.list[first].Value = value
	for i := first + 1; i < len(f.list); i++ {
		if f.list[i].ID == id {
			f.removeFrom(id, i)
			return
		}
	}
}

// removeFrom removes the field lines of id from position from on.
func (f *Fields) removeFrom(id NameID, from int) {
	kept := f.list[:from]
	for _, field := range f.list[from:] {
		if field.ID != id {
			kept = append(kept, field)
		}
	}
	f.truncate(kept)
}

// NeverIndex forbids that the values of the well-known name id are kept in a compression table.
func (f *Fields) NeverIndex(id NameID) {
	for i := range f.list {
		if f.list[i].ID == id {
			f.list[i].NeverIndexed = true
		}
	}
}

// SetName is Set for any lower-case name. Name and value are borrowed.
func (f *Fields) SetName(name, value []byte) {
	if id := LookupName(name); id != NameOther {
		f.Set(id, value)
		return
	}
	f.DelName(name)
	f.AddRaw(name, value)
}

// Del removes all field lines of the well-known name id.
func (f *Fields) Del(id NameID) {
	if !f.Has(id) {
		return
	}
	f.present[id>>6] &^= 1 << (id & 63)
	f.removeFrom(id, 0)
}

// DelName removes all field lines called name, which must be lower-case.
func (f *Fields) DelName(name []byte) {
	if id := LookupName(name); id != NameOther {
		f.Del(id)
		return
	}
	kept := f.list[:0]
	for _, field := range f.list {
		if field.ID != NameOther || !bytes.Equal(field.Name, name) {
			kept = append(kept, field)
		}
	}
	f.truncate(kept)
}

// DelSet removes all field lines of the well-known names in set, in one walk, which is skipped when none is present.
func (f *Fields) DelSet(set *NameSet) {
	if !f.HasAny(set) {
		return
	}
	for i := range f.present {
		f.present[i] &^= set[i]
	}
	kept := f.list[:0]
	for _, field := range f.list {
		if !set.Contains(field.ID) {
			kept = append(kept, field)
		}
	}
	f.truncate(kept)
}

// HasAny reports whether any of the well-known names in set is present.
func (f *Fields) HasAny(set *NameSet) bool {
	for i := range f.present {
		if f.present[i]&set[i] != 0 {
			return true
		}
	}
	return false
}

// truncate makes kept, a prefix of f.list's array, the list and lets go of what the tail borrowed.
func (f *Fields) truncate(kept []Field) {
	clear(f.list[len(kept):])
	f.list = kept
}

// CopyFrom makes f a copy of src that borrows the same bytes.
func (f *Fields) CopyFrom(src *Fields) {
	f.list = append(f.list[:0], src.list...)
	f.present = src.present
}
