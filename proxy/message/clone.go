package message

import "slices"

// CloneFrom makes f a copy of src with all its bytes, which are appended to arena, and returns that. They must not be overwritten
// as long as f is used.
func (f *Fields) CloneFrom(src *Fields, arena []byte) []byte {
	arena = slices.Grow(arena, src.size())
	f.CopyFrom(src)
	for i := range f.list {
		field := &f.list[i]
		if field.ID == NameOther {
			field.Name, arena = cloned(field.Name, arena)
		} else {
			field.Name = names[field.ID]
		}
		field.Value, arena = cloned(field.Value, arena)
	}
	return arena
}

// size returns how many bytes the names and values of f have.
func (f *Fields) size() (n int) {
	for i := range f.list {
		n += len(f.list[i].Name) + len(f.list[i].Value)
	}
	return n
}

// CloneFrom makes r a copy of src with all its bytes, which are appended to arena, and returns that. They must not be overwritten
// as long as r is used.
func (r *Request) CloneFrom(src *Request, arena []byte) []byte {
	fields := r.Fields
	*r = *src
	r.Fields = fields
	arena = r.Fields.CloneFrom(&src.Fields, arena)
	for _, part := range []*[]byte{&r.Method, &r.Scheme, &r.Authority, &r.Path, &r.Upgrade} {
		*part, arena = cloned(*part, arena)
	}
	return arena
}

// cloned appends b to arena and returns it as it stands there. What is nil stays so.
func cloned(b, arena []byte) (clone, grown []byte) {
	if b == nil {
		return nil, arena
	}
	start := len(arena)
	arena = append(arena, b...)
	return arena[start:len(arena):len(arena)], arena
}
