package grpcweb

import "encoding/base64"

// textDecoder decodes base64 that comes in pieces (RFC 4648 section 4). Padding is mandatory; it may also stand inside, where
// two encoded pieces were joined.
type textDecoder struct {
	group [4]byte // characters that do not make a whole group yet
	n     int
}

// append appends what data stands for to dst. ok is false when it is not base64.
func (d *textDecoder) append(dst, data []byte) (result []byte, ok bool) {
	for _, c := range data {
		d.group[d.n] = c
		if d.n++; d.n < len(d.group) {
			continue
		}
		d.n = 0
		var err error
		if dst, err = base64.StdEncoding.AppendDecode(dst, d.group[:]); err != nil || d.group[0] == '\r' || d.group[0] == '\n' {
			return dst, false
		}
	}
	return dst, true
}

// complete reports whether no group is unfinished.
func (d *textDecoder) complete() bool { return d.n == 0 }

// textEncoder encodes gRPC messages in base64 as they come. Each message, and the trailers, end with a whole group, so that
// the client can take it without waiting for more.
type textEncoder struct {
	carry  [3]byte // bytes that do not make a whole group yet
	n      int
	prefix [framePrefix]byte // of the message at hand
	have   int               // bytes of prefix
	left   uint32            // bytes of the message after its prefix
}

// append appends the encoded form of data to dst, but for at most two bytes that wait for the rest of their message.
func (e *textEncoder) append(dst, data []byte) []byte {
	for len(data) > 0 {
		n := e.step(data)
		dst = e.encode(dst, data[:n])
		data = data[n:]
		if e.have == framePrefix && e.left == 0 {
			dst = e.flush(dst)
			e.have = 0
		}
	}
	return dst
}

// step returns how many bytes of data belong to the part of the message at hand, its prefix or the rest, and takes note of
// them.
func (e *textEncoder) step(data []byte) int {
	if e.have < framePrefix {
		n := copy(e.prefix[e.have:], data)
		if e.have += n; e.have == framePrefix {
			p := &e.prefix
			e.left = uint32(p[1])<<24 | uint32(p[2])<<16 | uint32(p[3])<<8 | uint32(p[4])
		}
		return n
	}
	n := min(uint64(len(data)), uint64(e.left))
	e.left -= uint32(n)
	return int(n)
}

// encode appends the whole groups of what is carried and data, and carries the rest.
func (e *textEncoder) encode(dst, data []byte) []byte {
	if e.n > 0 {
		k := copy(e.carry[e.n:], data)
		e.n += k
		data = data[k:]
		if e.n < len(e.carry) {
			return dst
		}
		dst = base64.StdEncoding.AppendEncode(dst, e.carry[:])
		e.n = 0
	}
	whole := len(data) - len(data)%len(e.carry)
	dst = base64.StdEncoding.AppendEncode(dst, data[:whole])
	e.n = copy(e.carry[:], data[whole:])
	return dst
}

// flush appends what is carried as a padded group.
func (e *textEncoder) flush(dst []byte) []byte {
	dst = base64.StdEncoding.AppendEncode(dst, e.carry[:e.n])
	e.n = 0
	return dst
}
