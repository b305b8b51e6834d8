package http1

// Limits and other settings of the codec which a listener or cluster chooses. A Limits is not changed while a codec uses
// it, and may be shared by any number of them. The zero value stands for the defaults.
type Limits struct {
	// HeaderBytes bounds a whole message head, from its first byte to the empty line that ends it, and separately a
	// trailer section. 0 means DefaultHeaderBytes.
	HeaderBytes int
	// FieldCount bounds the field lines of a head, and separately those of a trailer section. 0 means
	// DefaultFieldCount.
	FieldCount int

	// AcceptHTTP10 lets HTTP/1.0 requests in; they are answered with 426 otherwise.
	AcceptHTTP10 bool
	// DefaultHostForHTTP10 is the authority of an HTTP/1.0 request without Host; empty means that it is refused.
	DefaultHostForHTTP10 string

	// Underscores says what happens to fields with an underscore in their name.
	Underscores UnderscoreAction
	// BufferBytes bounds the buffer that a body is read with, where it is small: per_connection_buffer_limit_bytes. 0 means
	// no such bound.
	BufferBytes int

	// ProperCase has the words of names in heads that are written begin with capitals, PreserveCase keeps how names are spelled in
	// heads that are read for where they are written. With PreserveCase, ProperOthers has names that were added begin their words
	// with capitals, and ForwardReason keeps reason phrases as well.
	ProperCase, PreserveCase, ProperOthers, ForwardReason bool

	// EnableTrailers keeps the trailers of chunked bodies. Otherwise they are parsed, checked and dropped.
	EnableTrailers bool
}

// UnderscoreAction is Envoy's headers_with_underscores_action. Many origins turn dashes and underscores into the same
// variable name, so that X_Forwarded_For passes there for X-Forwarded-For.
type UnderscoreAction uint8

// The actions.
const (
	UnderscoreAllow UnderscoreAction = iota
	UnderscoreReject
	UnderscoreDrop
)

// Our defaults, which are Envoy's.
const (
	DefaultHeaderBytes = 60 << 10
	DefaultFieldCount  = 100
)

// Limits nobody needs to set.
const (
	// maxLeadingEmptyLines is how many empty lines may precede a request line. RFC 9112 section 2.2 asks to ignore at
	// least one, for old clients that send a CRLF after a body.
	maxLeadingEmptyLines = 1

	// maxMethodLength is far above any registered method (the longest has 17 characters), so that a method is told from
	// garbage early.
	maxMethodLength = 64

	// maxConnectionTokens is where Envoy starts to refuse Connection fields: 10 tokens are too many.
	maxConnectionTokens = 10

	// maxChunkSizeDigits holds every 64-bit number; more digits could only be leading zeros.
	maxChunkSizeDigits = 16

	// maxChunkExtensionBytes bounds the chunk extensions of a whole body. Nobody uses them, and unbounded they let a
	// peer send without end what counts as no body at all.
	maxChunkExtensionBytes = 4 << 10

	// maxKeptTrailerBytes is the trailer arena a BodyDecoder keeps for the next body. Larger ones are rare and go.
	maxKeptTrailerBytes = 4 << 10
)

func (l *Limits) headerBytes() int {
	if l.HeaderBytes > 0 {
		return l.HeaderBytes
	}
	return DefaultHeaderBytes
}

func (l *Limits) fieldCount() int {
	if l.FieldCount > 0 {
		return l.FieldCount
	}
	return DefaultFieldCount
}
