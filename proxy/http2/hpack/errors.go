package hpack

// Error says why a field block could not be decoded. It is a small number, so that refusing costs no allocation; 0 means
// no error. After any of them the decoder is out of step with its peer, and the connection must be closed with
// COMPRESSION_ERROR (RFC 9113 section 4.3).
//
// Error implements the error interface for whoever wants to wrap or log it, but a zero Error stored in an error variable
// is not nil: compare with 0 before converting.
type Error uint8

// The reasons; the Error method says what each stands for.
const (
	noError Error = iota

	ErrTruncated
	ErrInteger
	ErrIndex
	ErrHuffmanEOS
	ErrHuffmanPadding
	ErrHuffmanPaddingLength
	ErrSizeUpdate
	ErrSizeUpdatePlace
	ErrSizeUpdateCount

	errorCount
)

// errorTexts says what is wrong and what would be valid. It is never written.
var errorTexts = [errorCount]string{
	noError:                 "no error",
	ErrTruncated:            "field block ends within a field",
	ErrInteger:              "integer of more than 5 octets after its prefix, want at most 32 bits",
	ErrIndex:                "index 0 or beyond the dynamic table",
	ErrHuffmanEOS:           "Huffman-coded string holds the end-of-string symbol",
	ErrHuffmanPadding:       "padding of a Huffman-coded string has a bit that is 0, want all 1",
	ErrHuffmanPaddingLength: "padding of a Huffman-coded string is longer than 7 bits",
	ErrSizeUpdate:           "dynamic table size update above the size announced in SETTINGS_HEADER_TABLE_SIZE",
	ErrSizeUpdatePlace:      "dynamic table size update after a field, want it at the start of the block",
	ErrSizeUpdateCount:      "more than 8 dynamic table size updates in one block, want at most 2",
}

// Error returns what is wrong and what would be valid.
func (e Error) Error() string { return errorTexts[e] }
