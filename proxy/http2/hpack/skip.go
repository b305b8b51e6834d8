package hpack

// Skip is Next for a field that nobody wants any more, because the message is refused: the table stays in step, and nothing
// is decoded that does not go there. The size of the field is what Next would have set.
func (d *Decoder) Skip(block []byte) (n int, size uint32, err Error) {
	i, err := d.sizeUpdates(block)
	if err != noError || i == len(block) {
		return 0, 0, err
	}
	d.updates = updatesOver
	if block[i] < indexedBits {
		var l literal
		if i, err = d.readLiteral(block, i, &l); err != noError {
			return 0, 0, err
		}
		if size, err = d.skipLiteral(&l); err != noError {
			return 0, 0, err
		}
		return i, size, noError
	}
	index, i, err := readInteger(block, i, indexedMask)
	if err != noError {
		return 0, 0, err
	}
	e, err := d.lookup(index)
	switch {
	case err != noError:
		return 0, 0, err
	case e == nil:
		return i, staticFields[index].Size, noError
	}
	return i, e.size(), noError
}

// skipLiteral decodes l as far as the table needs it, and returns the size of the field.
func (d *Decoder) skipLiteral(l *literal) (size uint32, err Error) {
	nameLen, err := l.nameLen()
	if err != noError {
		return 0, err
	}
	valueLen, err := l.value.decodedLen()
	if err != noError {
		return 0, err
	}
	size = uint32(nameLen + valueLen + entryOverhead)
	if l.kind != incrementalBits {
		return size, noError
	}
	var f Field
	f.Size = size
	if size <= d.table.max {
		// It is decoded where insert puts it. No entry is evicted before: it may have the name.
		d.table.reserve(nameLen + valueLen)
		if _, err = d.decodeLiteral(l, d.table.room(), &f); err != noError {
			return 0, err
		}
	}
	d.insert(l, &f)
	return size, noError
}

// nameLen returns the length that the name of l decodes to.
func (l *literal) nameLen() (int, Error) {
	switch {
	case l.entry != nil:
		return int(l.entry.nameLen), noError
	case l.index != 0:
		return len(staticFields[l.index].Name), noError
	}
	return l.name.decodedLen()
}

// decodedLen returns the length that s decodes to.
func (s *encodedString) decodedLen() (int, Error) {
	if s.huffman {
		return huffmanLen(s.bytes)
	}
	return len(s.bytes), noError
}
