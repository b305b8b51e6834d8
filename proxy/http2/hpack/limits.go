package hpack

// What RFC 7541 fixes.
const (
	// entryOverhead is added to the length of name and value for the size of an entry (section 4.1).
	entryOverhead = 32

	// defaultTableSize is the size of a dynamic table in bytes before anything was announced (RFC 9113 section 6.5.2).
	defaultTableSize = 4096
)

// What we choose.
const (
	// MaxTableSize bounds the dynamic table of a Decoder, in bytes: the largest that any known peer makes use of. Lengths of
	// strings in the table fit 16 bits because of it.
	MaxTableSize = 64 << 10

	// MaxString is the longest string that is decoded, in bytes as they are in the block. It is what Envoy's codec takes,
	// and more than any header limit in use lets through. A Huffman-coded string may become 8/5 as long.
	MaxString = 64 << 10

	// maxIntegerOctets bounds the octets after the prefix of an integer: 5 hold every 32-bit number, and nothing in a block
	// needs larger ones (RFC 7541 section 5.1 asks for such a limit).
	maxIntegerOctets = 5

	// maxSizeUpdates bounds the size updates in front of a block. RFC 7541 section 4.2 needs two; each of them may empty the
	// table.
	maxSizeUpdates = 8

	// minStore and minRing are what a table takes with its first entry: bytes, and entries. They hold what is repeated in the
	// messages of a simple client.
	minStore = 256
	minRing  = 8

	// maxEncoderTableSize bounds the table of an Encoder, in bytes.
	maxEncoderTableSize = defaultTableSize

	// maxEncoderEntries is the number of the smallest entries that fit such a table: of a name of one byte.
	maxEncoderEntries = maxEncoderTableSize / (entryOverhead + 1)

	// insertShare is the part of the table (one of so many) that one entry may take. A larger one would displace too many
	// others to be worth it.
	insertShare = 4

	// shortCookie is the length in bytes up to which a cookie is never indexed: it might be guessed through the table
	// (RFC 7541 section 7.1.3).
	shortCookie = 20
)
