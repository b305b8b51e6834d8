package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// Encoder encodes the field blocks that go out on one connection. It has to be initialized with Init.
type Encoder struct {
	table     table
	index     *encoderIndex // nil until something is inserted
	insertion insertion
	smallest  uint32 // the smallest size that the table was given since the last block; more than all when it was given none
	changed   bool   // table.max has changed since the last block
}

// Init prepares e for a connection. The table may have 4096 bytes until SetMaxTableSize says otherwise.
func (e *Encoder) Init() {
	*e = Encoder{smallest: maxEncoderTableSize + 1}
	e.table.max = maxEncoderTableSize
}

// SetMaxTableSize takes the peer's SETTINGS_HEADER_TABLE_SIZE, in bytes, between two blocks. The table has that size, or 4096
// bytes where it is larger, from the next block on, and that block begins with announcing it.
func (e *Encoder) SetMaxTableSize(n uint32) {
	n = min(n, maxEncoderTableSize)
	if n == e.table.max {
		return
	}
	e.table.max = n
	e.changed = true
	if e.smallest = min(e.smallest, n); e.smallest < n {
		e.smallest = 0 // see appendSizeUpdates
	}
	for e.table.size > e.smallest {
		e.dropOldest()
	}
}

// Begin appends what a block has to begin with to dst and returns the extended slice. It must be called before the first
// field of each block.
func (e *Encoder) Begin(dst []byte) []byte {
	if e.changed {
		return e.appendSizeUpdates(dst)
	}
	return dst
}

// appendSizeUpdates announces a change of the table's size: the smallest that it had since the last block, and then what it
// is now (RFC 7541 section 4.2). A table that became smaller and then larger had size 0 in between, whatever was asked for:
// x/net, which is what Go programs use, takes a second update only when the table is empty.
func (e *Encoder) appendSizeUpdates(dst []byte) []byte {
	if e.smallest < e.table.max {
		dst = append(dst, sizeUpdateBits)
	}
	e.smallest, e.changed = maxEncoderTableSize+1, false
	return appendInteger(dst, sizeUpdateBits, sizeUpdateMask, uint(e.table.max))
}

// AppendStatus appends the pseudo-header field :status with a value from 100 to 999 to dst.
func (e *Encoder) AppendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, indexedBits|staticStatus)
	case 204:
		return append(dst, indexedBits|staticStatus+1)
	case 206:
		return append(dst, indexedBits|staticStatus+2)
	case 304:
		return append(dst, indexedBits|staticStatus+3)
	case 400:
		return append(dst, indexedBits|staticStatus+4)
	case 404:
		return append(dst, indexedBits|staticStatus+5)
	case 500:
		return append(dst, indexedBits|staticStatus+6)
	}
	// 5 bytes, for which no entry is worth it.
	return append(dst, withoutBits|staticStatus, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendPseudo appends a pseudo-header field to dst. p must not be PseudoNone or PseudoUnknown. One that must never be indexed
// goes through AppendField, with its name.
func (e *Encoder) AppendPseudo(dst []byte, p Pseudo, value []byte) []byte {
	switch p {
	case PseudoMethod:
		switch string(value) {
		case "GET":
			return append(dst, indexedBits|staticGET)
		case "POST":
			return append(dst, indexedBits|staticPOST)
		}
	case PseudoScheme:
		switch string(value) {
		case "http":
			return append(dst, indexedBits|staticHTTP)
		case "https":
			return append(dst, indexedBits|staticHTTPS)
		}
	case PseudoPath:
		switch string(value) {
		case "/":
			return append(dst, indexedBits|staticRoot)
		case "/index.html":
			return append(dst, indexedBits|staticIndexHTML)
		}
	}
	f := message.Field{Name: pseudoNames[p], Value: value}
	return e.append(dst, &f, p)
}

// AppendField appends a field to dst. Its name must be lower-case and its ID what message.LookupName returns for that.
func (e *Encoder) AppendField(dst []byte, f *message.Field) []byte {
	return e.append(dst, f, PseudoNone)
}

// append appends a field, or the pseudo-header field p.
func (e *Encoder) append(dst []byte, f *message.Field, p Pseudo) []byte {
	// A field that is in the table is by far the most frequent case.
	var hash uint32
	if e.index != nil && !f.NeverIndexed && f.ID != message.NameXRequestID {
		hash = sampleHash(f.Value, nameSeed(f, p))
		if i := e.find(f, p, hash); i != 0 {
			return appendInteger(dst, indexedBits, indexedMask, i)
		}
	}
	name := nameOf(f, p)
	switch {
	case secret(f, name):
		return appendLiteral(dst, neverBits, name, f)
	case name == staticAcceptEncoding && string(f.Value) == staticList[staticAcceptEncoding-1][1]:
		return append(dst, indexedBits|staticAcceptEncoding)
	case fieldSize(f) > e.table.max/insertShare || f.ID == message.NameXRequestID: // which is different in each message
	case e.insertion.worthwhile(f, p) && e.insert(f, p, name, hash):
		return appendIncremental(dst, name, f)
	}
	return appendLiteral(dst, withoutBits, name, f)
}

// nameOf returns the index of the first static entry with the name of the field, 0 when there is none.
func nameOf(f *message.Field, p Pseudo) uint8 {
	switch {
	case p != PseudoNone:
		return staticByPseudo[p]
	case f.ID != message.NameOther:
		return staticByID[f.ID]
	}
	return lookupStatic(f.Name)
}

// secret reports whether the field must never be indexed (RFC 7541 section 7.1.3).
func secret(f *message.Field, name uint8) bool {
	switch f.ID {
	case message.NameAuthorization:
		return true
	case message.NameCookie:
		return f.NeverIndexed || len(f.Value) <= shortCookie
	}
	return f.NeverIndexed || name == staticProxyAuthorization
}

// fieldSize returns the size of the field as an entry (RFC 7541 section 4.1).
func fieldSize(f *message.Field) uint32 { return uint32(len(f.Name) + len(f.Value) + entryOverhead) }
