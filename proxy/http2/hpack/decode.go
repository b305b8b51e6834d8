package hpack

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// The first octets of representations (RFC 7541 section 6): the bits that tell the kind, and the mask of the index.
const (
	indexedBits = 0x80
	indexedMask = 0x7f

	incrementalBits = 0x40
	incrementalMask = 0x3f

	sizeUpdateBits = 0x20
	sizeUpdateMask = 0x1f

	neverBits   = 0x10
	withoutBits = 0x00
	literalMask = 0x0f // of the last two

	// A string literal (section 5.2).
	huffmanBit = 0x80
	stringMask = 0x7f
)

// updatesOver says in Decoder.updates that a field was seen.
const updatesOver = -1

// Decoder decodes the field blocks that come in on one connection. It has to be initialized with Init.
type Decoder struct {
	table   table
	allowed uint32 // what a size update may set table.max to
	updates int8   // how many size updates may still come, or updatesOver
}

// Init prepares d for a connection on which maxTableSize, in bytes, is announced as SETTINGS_HEADER_TABLE_SIZE. More than
// MaxTableSize is taken for MaxTableSize, and that is what must be announced then. The table begins with the 4096 bytes that
// every peer assumes, or less, and the peer enlarges it with a size update.
//
// A peer may use 4096 bytes until it has acknowledged that it may not, so to announce less: Init with 4096 and call
// SetMaxTableSize when the SETTINGS frame was acknowledged.
func (d *Decoder) Init(maxTableSize uint32) {
	*d = Decoder{allowed: min(maxTableSize, MaxTableSize)}
	d.table.max = min(d.allowed, defaultTableSize)
	d.Begin()
}

// SetMaxTableSize changes the size that the peer's table may have, between two blocks: when the peer has acknowledged a
// smaller one, or before a larger one is announced. A table that is larger than n shrinks to n at once, as that of the
// peer has (RFC 7541 section 4.2).
func (d *Decoder) SetMaxTableSize(n uint32) {
	d.allowed = min(n, MaxTableSize)
	if d.table.max > d.allowed {
		d.setTableSize(d.allowed)
	}
}

func (d *Decoder) setTableSize(n uint32) {
	d.table.max = n
	d.table.evict(n)
}

// Begin prepares d for the next field block. Size updates may come at its start only.
func (d *Decoder) Begin() { d.updates = maxSizeUpdates }

// Next decodes the first field of block, which is the rest of a whole field block and never a fragment of one, into f and
// returns the number of bytes that it took, with those of size updates before it. n is 0 and err too when no field is left;
// f is undefined then, and after an error.
//
// Name and Value of f are static or copied to arena, whose extended form is returned, and stay as they are as long as nobody
// overwrites its array; block may be overwritten. When arena has to grow, fields decoded before stay where they are, in the
// array that was left.
//
// One field adds at most MaxTableSize bytes to arena, or 16/5 of MaxString when it is a literal. Limits on whole messages
// are the caller's: it adds up the sizes of the fields, and gives what comes after too many to Skip.
func (d *Decoder) Next(block, arena []byte, f *Field) (n int, newArena []byte, err Error) {
	if len(block) == 0 {
		return 0, arena, noError
	}
	// An index of one octet is by far the most frequent representation.
	c := block[0]
	if c <= indexedBits || c == indexedBits|indexedMask {
		return d.next(block, arena, f)
	}
	d.updates = updatesOver
	index := uint32(c & indexedMask)
	if index <= staticCount {
		*f = staticFields[index]
		return 1, arena, noError
	}
	e := d.table.at(index - staticCount - 1)
	if e == nil {
		return 0, arena, ErrIndex
	}
	return 1, d.table.field(e, arena, f), noError
}

// next is Next for all representations.
func (d *Decoder) next(block, arena []byte, f *Field) (int, []byte, Error) {
	i, err := 0, noError
	if isSizeUpdate(block[0]) {
		if i, err = d.sizeUpdates(block); err != noError || i == len(block) {
			return 0, arena, err
		}
	}
	d.updates = updatesOver
	if block[i] < indexedBits {
		return d.literal(block, i, arena, f)
	}
	index, i, err := readInteger(block, i, indexedMask)
	if err != noError {
		return 0, arena, err
	}
	e, err := d.lookup(index)
	switch {
	case err != noError:
		return 0, arena, err
	case e == nil:
		*f = staticFields[index]
		return i, arena, noError
	}
	return i, d.table.field(e, arena, f), noError
}

// lookup returns the entry of an index, nil when it is in the static table.
func (d *Decoder) lookup(index uint64) (*entry, Error) {
	if index-1 < staticCount {
		return nil, noError
	}
	// Index 0 is an error (RFC 7541 section 6.1), and so is one beyond the table (section 2.3.3).
	age := index - 1 - staticCount
	if age >= uint64(d.table.count) {
		return nil, ErrIndex
	}
	return d.table.at(uint32(age)), noError
}

// sizeUpdates carries out the size updates that block begins with and returns the index of what follows.
func (d *Decoder) sizeUpdates(block []byte) (i int, err Error) {
	for i < len(block) && isSizeUpdate(block[i]) {
		switch {
		case d.updates == updatesOver: // RFC 7541 section 4.2: at the beginning of the first block after the change
			return i, ErrSizeUpdatePlace
		case d.updates == 0:
			return i, ErrSizeUpdateCount
		}
		d.updates--
		var size uint64
		if size, i, err = readInteger(block, i, sizeUpdateMask); err != noError {
			return i, err
		}
		if size > uint64(d.allowed) { // RFC 7541 section 6.3
			return i, ErrSizeUpdate
		}
		d.setTableSize(uint32(size))
	}
	return i, noError
}

// field copies an entry to f and arena, which is returned.
func (t *table) field(e *entry, arena []byte, f *Field) []byte {
	start := len(arena)
	arena = append(arena, t.stored(e)...)
	f.Name = e.knownName()
	if f.Name == nil {
		mid := start + int(e.nameLen)
		f.Name = arena[start:mid:mid]
		start = mid
	}
	f.Value = arena[start:len(arena):len(arena)]
	f.ID = e.id
	f.NeverIndexed = false
	f.Pseudo = e.pseudo
	f.Malformed = Malformed(e.note)
	f.Size = e.size()
	return arena
}

// knownName returns the name of an entry when it is not stored, nil otherwise.
func (e *entry) knownName() []byte {
	switch {
	case e.id != message.NameOther:
		return e.id.Bytes()
	case e.static != 0:
		return staticFields[e.static].Name
	}
	return nil
}

func isSizeUpdate(c byte) bool { return c&^sizeUpdateMask == sizeUpdateBits }
