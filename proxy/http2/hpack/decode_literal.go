package hpack

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// encodedString is a string literal (RFC 7541 section 5.2) as it is in the block.
type encodedString struct {
	bytes   []byte
	huffman bool
}

// readString reads the string literal at b[i] and returns the index of what follows.
func readString(b []byte, i int) (s encodedString, next int, err Error) {
	if i >= len(b) {
		return s, i, ErrTruncated
	}
	c := b[i]
	n, next := uint64(c&stringMask), i+1
	if n == stringMask {
		if n, next, err = readLongInteger(b, i, stringMask); err != noError {
			return s, i, err
		}
	}
	if n > uint64(len(b)-next) {
		return s, i, ErrTruncated
	}
	end := next + int(n)
	return encodedString{b[next:end], c&huffmanBit != 0}, end, noError
}

// room returns the capacity that appendTo needs at most.
func (s *encodedString) room() int {
	if s.huffman {
		return huffmanRoom(len(s.bytes))
	}
	return len(s.bytes)
}

// appendTo appends what s decodes to.
func (s *encodedString) appendTo(dst []byte) ([]byte, Error) {
	if s.huffman {
		return decodeHuffman(dst, s.bytes)
	}
	return append(dst, s.bytes...), noError
}

// literal is a literal field (RFC 7541 section 6.2) as it is in the block.
type literal struct {
	kind  byte          // incrementalBits, neverBits or withoutBits
	index uint64        // of the entry that has its name, 0 when name has it
	entry *entry        // that entry, nil when it is in the static table
	name  encodedString // when index is 0
	value encodedString
}

// readLiteral reads the literal field at block[i] into l and returns the index of what follows.
func (d *Decoder) readLiteral(block []byte, i int, l *literal) (next int, err Error) {
	c, mask := block[i], byte(literalMask)
	switch {
	case c >= incrementalBits:
		l.kind, mask = incrementalBits, incrementalMask
	case c >= neverBits:
		l.kind = neverBits
	default:
		l.kind = withoutBits
	}
	if l.index, i, err = readInteger(block, i, mask); err != noError {
		return i, err
	}
	if l.index == 0 {
		l.name, i, err = readString(block, i)
	} else {
		l.entry, err = d.lookup(l.index)
	}
	if err != noError {
		return i, err
	}
	l.value, i, err = readString(block, i)
	return i, err
}

// tooLong reports whether the field is one that Next does not decode.
func (l *literal) tooLong() bool {
	return len(l.name.bytes) > MaxString || len(l.value.bytes) > MaxString
}

// literal is Next for the literal field at block[i].
func (d *Decoder) literal(block []byte, i int, arena []byte, f *Field) (int, []byte, Error) {
	var l literal
	i, err := d.readLiteral(block, i, &l)
	if err != noError {
		return 0, arena, err
	}
	if l.tooLong() {
		size, err := d.skipLiteral(&l)
		*f = Field{Malformed: TooLong, Size: size}
		return i, arena, err
	}
	arena = slices.Grow(arena, l.name.room()+l.value.room())
	if arena, err = d.decodeLiteral(&l, arena, f); err != noError {
		return 0, arena, err
	}
	if l.kind == incrementalBits {
		d.insert(&l, f)
	}
	return i, arena, noError
}

// decodeLiteral decodes l into f and arena, which is returned, and leaves the table as it is.
func (d *Decoder) decodeLiteral(l *literal, arena []byte, f *Field) ([]byte, Error) {
	arena, err := d.decodeName(l, arena, f)
	if err != noError {
		return arena, err
	}
	start := len(arena)
	if arena, err = l.value.appendTo(arena); err != noError {
		return arena, err
	}
	f.Value = arena[start:len(arena):len(arena)]
	f.Malformed |= checkValue(f.Value)
	f.NeverIndexed = l.kind == neverBits
	f.Size = uint32(len(f.Name) + len(f.Value) + entryOverhead)
	return arena, noError
}

// decodeName is decodeLiteral as far as the name goes.
func (d *Decoder) decodeName(l *literal, arena []byte, f *Field) ([]byte, Error) {
	start := len(arena)
	switch e := l.entry; {
	case e != nil:
		f.ID, f.Pseudo, f.Malformed = e.id, e.pseudo, Malformed(e.note)&malformedName
		if f.Name = e.knownName(); f.Name == nil {
			arena = append(arena, d.table.stored(e)[:e.nameLen]...)
			f.Name = arena[start:len(arena):len(arena)]
		}
	case l.index != 0:
		s := &staticFields[l.index]
		f.Name, f.ID, f.Pseudo, f.Malformed = s.Name, s.ID, s.Pseudo, 0
	default:
		var err Error
		if arena, err = l.name.appendTo(arena); err != noError {
			return arena, err
		}
		f.Name = arena[start:len(arena):len(arena)]
		if f.ID, f.Pseudo, f.Malformed = classify(f.Name); f.ID != message.NameOther {
			f.Name = f.ID.Bytes()
			arena = arena[:start]
		}
	}
	return arena, noError
}

// insert inserts f, which is l decoded, into the table (RFC 7541 section 4.4).
func (d *Decoder) insert(l *literal, f *Field) {
	t := &d.table
	if f.Size > t.max {
		t.evict(0)
		return
	}
	e := entry{
		nameLen:  uint16(len(f.Name)),
		valueLen: uint16(len(f.Value)),
		id:       f.ID,
		pseudo:   f.Pseudo,
		note:     uint8(f.Malformed),
	}
	switch {
	case l.entry != nil: // which may be about to be evicted
		e.static = l.entry.static
	case l.index != 0:
		e.static = uint8(l.index)
	}
	name := f.Name[:e.storedName()]
	t.evict(t.max - f.Size)
	t.reserve(len(name) + len(f.Value))
	t.push(e, name, f.Value)
}
