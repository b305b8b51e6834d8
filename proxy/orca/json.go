package orca

import "bytes"

// json takes a report in the JSON form of its message (protobuf's ProtoJSON). Names of fields are in either spelling; a field that
// is unknown makes it malformed, as in Envoy.
func (r *report) json(text []byte) (ok bool) {
	j := jsonReader{rest: text}
	if !j.take('{') {
		return false
	}
	for first := true; !j.take('}'); first = false {
		if !first && !j.take(',') {
			return false
		}
		name, ok := j.string()
		if !ok || !j.take(':') || !r.jsonField(&j, name) {
			return false
		}
	}
	j.skipSpace()
	return len(j.rest) == 0
}

// jsonField takes the value of a field.
func (r *report) jsonField(j *jsonReader, name []byte) (ok bool) {
	var buffer [len("application_utilization") + 1]byte
	name = appendSnake(buffer[:0], name)
	s, g := scalarNamed(name), groupNamed(name)
	switch rps := string(name) == "rps"; {
	case s == noScalar && g == noGroup && !rps:
		return false
	case j.null():
		return true
	case g != noGroup:
		return r.jsonGroup(j, g)
	case rps: // which rps_fractional has taken the place of
		_, ok = j.number()
		return ok
	}
	value, ok := j.number()
	return ok && r.set(s, value)
}

// jsonGroup takes the object of a group.
func (r *report) jsonGroup(j *jsonReader, g group) (ok bool) {
	if !j.take('{') {
		return false
	}
	for first := true; !j.take('}'); first = false {
		if !first && !j.take(',') {
			return false
		}
		key, ok := j.string()
		if !ok || !j.take(':') {
			return false
		}
		value, ok := j.number()
		if !ok || !r.add(g, key, value) {
			return false
		}
	}
	return true
}

// appendSnake appends name, which may be in camel case, in the spelling of the .proto file. It returns nil when there is no room.
func appendSnake(b, name []byte) []byte {
	for _, c := range name {
		if len(b)+2 > cap(b) {
			return nil
		}
		if c >= 'A' && c <= 'Z' {
			b = append(b, '_')
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// jsonReader takes tokens off a text.
type jsonReader struct{ rest []byte }

func (j *jsonReader) skipSpace() { j.rest = bytes.TrimLeft(j.rest, " \t\r\n") }

// take takes a character that is next, after white space.
func (j *jsonReader) take(c byte) bool {
	j.skipSpace()
	if len(j.rest) == 0 || j.rest[0] != c {
		return false
	}
	j.rest = j.rest[1:]
	return true
}

// string takes a string and returns what is between its quotes. One with escapes is returned as it is written, which is the name
// of nothing.
func (j *jsonReader) string() (s []byte, ok bool) {
	if !j.take('"') {
		return nil, false
	}
	for i := 0; i < len(j.rest); i++ {
		switch j.rest[i] {
		case '\\':
			i++
		case '"':
			s, j.rest = j.rest[:i], j.rest[i+1:]
			return s, true
		}
	}
	return nil, false
}

// number takes a number, which may be in quotes.
func (j *jsonReader) number() (value float64, ok bool) {
	j.skipSpace()
	if len(j.rest) > 0 && j.rest[0] == '"' {
		s, ok := j.string()
		if !ok {
			return 0, false
		}
		return number(s)
	}
	n := 0
	for n < len(j.rest) && numeric(j.rest[n]) {
		n++
	}
	value, ok = number(j.rest[:n])
	j.rest = j.rest[n:]
	return value, ok
}

// null takes the literal null.
func (j *jsonReader) null() bool {
	j.skipSpace()
	rest, ok := bytes.CutPrefix(j.rest, []byte("null"))
	j.rest = rest
	return ok
}
