package orca

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// maxBinary bounds the bytes of a report, which are decoded on the stack: some 200 metrics. A larger one is of no use.
const maxBinary = 4 << 10

// Wire types of protobuf (Protocol Buffers, "Encoding").
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// binary takes a report as a message in base64, with padding or without, as gRPC has binary fields.
func (r *report) binary(text []byte) (ok bool) {
	text = bytes.TrimRight(bytes.TrimSpace(text), "=")
	if len(text) == 0 || base64.RawStdEncoding.DecodedLen(len(text)) > maxBinary {
		return false
	}
	var buffer [maxBinary]byte
	n, err := base64.RawStdEncoding.Decode(buffer[:], text)
	return err == nil && r.message(buffer[:n])
}

// message takes the bytes of an OrcaLoadReport. Fields that are unknown are passed over.
func (r *report) message(b []byte) (ok bool) {
	for len(b) > 0 {
		f, n := nextField(b)
		if n == 0 {
			return false
		}
		b = b[n:]
		switch g := groupNumbered(f.number); {
		case g != noGroup && f.wire == wireBytes:
			if !r.entry(g, f.bytes) {
				return false
			}
		case f.wire == wireFixed64:
			if s := scalarNumbered(f.number); s != noScalar && !r.set(s, math.Float64frombits(f.fixed)) {
				return false
			}
		}
	}
	return true
}

// entry takes an entry of a group: a message of its key and its value.
func (r *report) entry(g group, b []byte) (ok bool) {
	var key []byte
	value := 0.0
	for len(b) > 0 {
		f, n := nextField(b)
		if n == 0 {
			return false
		}
		b = b[n:]
		switch {
		case f.number == 1 && f.wire == wireBytes:
			key = f.bytes
		case f.number == 2 && f.wire == wireFixed64:
			value = math.Float64frombits(f.fixed)
		}
	}
	return r.add(g, key, value)
}

// scalarNumbered returns the scalar of a field number.
func scalarNumbered(n uint64) scalar {
	switch n {
	case 1:
		return cpuUtilization
	case 2:
		return memUtilization
	case 6:
		return rpsFractional
	case 7:
		return eps
	case 9:
		return applicationUtilization
	}
	return noScalar
}

// groupNumbered returns the group of a field number.
func groupNumbered(n uint64) group {
	switch n {
	case 4:
		return requestCost
	case 5:
		return utilization
	case 8:
		return namedMetrics
	}
	return noGroup
}

// wireField is a field of a message. Of its values one is of use, by the wire type.
type wireField struct {
	number uint64
	wire   uint64
	fixed  uint64
	bytes  []byte
}

// nextField returns the first field of b and its length, 0 when it is malformed or of a kind that nothing has sent for long (groups).
func nextField(b []byte) (f wireField, n int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 {
		return f, 0
	}
	f.number, f.wire = tag>>3, tag&7
	rest := b[n:]
	switch f.wire {
	case wireVarint:
		_, size := binary.Uvarint(rest)
		if size <= 0 {
			return f, 0
		}
		return f, n + size
	case wireFixed64:
		if len(rest) < 8 {
			return f, 0
		}
		f.fixed = binary.LittleEndian.Uint64(rest)
		return f, n + 8
	case wireFixed32:
		if len(rest) < 4 {
			return f, 0
		}
		return f, n + 4
	case wireBytes:
		length, size := binary.Uvarint(rest)
		if size <= 0 || length > uint64(len(rest)-size) {
			return f, 0
		}
		f.bytes = rest[size : size+int(length)]
		return f, n + size + int(length)
	}
	return f, 0
}
