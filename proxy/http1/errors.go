package http1

// Error says why a message was refused. It is a small number, so that refusing costs no allocation; 0 means no error.
//
// Error implements the error interface for whoever wants to wrap or log it, but a zero Error stored in an error variable
// is not nil: compare with 0 before converting.
type Error uint8

// The reasons to refuse a message; the Error method says what each stands for. After any of them the bytes that follow on
// the connection have no meaning: it must be closed once the answer, if there is one, is written.
const (
	noError Error = iota

	// ErrHTTP2Preface is the request line of the HTTP/2 client connection preface (RFC 9113 section 3.4). Whoever
	// serves HTTP/2 on the same port hands the whole buffer to that codec instead of answering.
	ErrHTTP2Preface
	ErrMethod
	ErrTarget
	ErrTargetCharacter
	ErrFragment
	ErrScheme
	// ErrHTTPSInPlaintext is never found by the parser, which does not know the transport: the connection refuses an
	// absolute-form https target with it when it came without TLS.
	ErrHTTPSInPlaintext
	ErrVersion
	ErrHTTP10

	ErrBareLF
	ErrBareCR
	ErrObsFold
	ErrSpaceBeforeColon
	ErrNoColon
	ErrEmptyName
	ErrNameCharacter
	ErrValueCharacter
	ErrUnderscore
	ErrHeadersTooLarge
	ErrTooManyFields

	ErrMissingHost
	ErrDuplicateHost
	ErrInvalidHost
	ErrContentLength
	ErrDuplicateContentLength
	ErrTransferEncoding
	ErrTransferEncodingHTTP10
	ErrLengthAndChunked
	ErrBodyOnConnect
	ErrConnectionField
	ErrExpect

	ErrStatusLine
	ErrStatusCode
	ErrLengthNotAllowed
	ErrTransferEncodingNotAllowed
	ErrSwitchWithoutUpgrade

	ErrChunkSize
	ErrChunkExtension
	ErrChunkExtensionsTooLarge
	ErrChunkEnd
	ErrTrailersTooLarge
	ErrTooManyTrailers

	errorCount
)

// The details of Envoy's HTTP/1 codec that stand for more than one reason.
const (
	detailsCodec            = "http1.codec_error"
	detailsCharacters       = "http1.invalid_characters"
	detailsTooLarge         = "http1.headers_too_large"
	detailsTooMany          = "http1.too_many_headers"
	detailsURL              = "http1.invalid_url"
	detailsTransferEncoding = "http1.invalid_transfer_encoding"
	detailsAuthority        = "http.invalid_authority"
)

// refusal is the answer to one Error.
type refusal struct {
	status    int
	details   string
	emptyBody bool // Envoy's connection manager, not its codec, answers this one, and it sends no body
	text      string
}

// refusals holds the answer to every Error. It is never written.
var refusals = [errorCount]refusal{
	ErrHTTP2Preface:     {400, detailsCodec, false, "HTTP/2 connection preface on an HTTP/1 connection, want an HTTP/1.1 request"},
	ErrMethod:           {400, detailsCodec, false, "request line: method must be a token of 1 to 64 characters followed by one space"},
	ErrTarget:           {400, detailsURL, false, "request line: target must be a path, an http or https URL, host:port for CONNECT, or * for OPTIONS"},
	ErrTargetCharacter:  {400, detailsURL, false, "request line: target must consist of visible ASCII characters and be followed by one space"},
	ErrFragment:         {400, "path_normalization_failed", true, "request line: target must not carry a fragment (#)"},
	ErrScheme:           {400, "http1.invalid_scheme", false, "request line: scheme of an absolute target must be http or https"},
	ErrHTTPSInPlaintext: {403, "http1.https_url_on_plaintext_connection", false, "request line: https target on a connection without TLS, want http or a path"},
	ErrVersion:          {400, detailsCodec, false, "request line: version must be HTTP/1.1 or HTTP/1.0 directly followed by CRLF"},
	ErrHTTP10:           {426, "low_version", false, "request line: HTTP/1.0 is not accepted here, want HTTP/1.1"},

	ErrBareLF:           {400, detailsCodec, false, "line ends in LF alone, want CRLF"},
	ErrBareCR:           {400, detailsCodec, false, "CR that is not part of a CRLF"},
	ErrObsFold:          {400, detailsCodec, false, "field line starts with whitespace; folded lines are not accepted, want a field name"},
	ErrSpaceBeforeColon: {400, detailsCodec, false, "whitespace between field name and colon, want the colon directly after the name"},
	ErrNoColon:          {400, detailsCodec, false, "field line without a colon, want name: value"},
	ErrEmptyName:        {400, detailsCodec, false, "field line with an empty name, want a token before the colon"},
	ErrNameCharacter:    {400, detailsCodec, false, "field name holds a character that is not a token character"},
	ErrValueCharacter:   {400, detailsCharacters, false, "field value holds a control character; of those only HTAB is allowed"},
	ErrUnderscore:       {400, "http1.unexpected_underscore", false, "field name holds an underscore, which this listener rejects"},
	ErrHeadersTooLarge:  {431, detailsTooLarge, false, "message head exceeds the size limit"},
	ErrTooManyFields:    {431, detailsTooMany, false, "message head exceeds the limit on the number of field lines"},

	ErrMissingHost:            {400, "missing_host_header", true, "request without a host field, want exactly one"},
	ErrDuplicateHost:          {400, detailsAuthority, false, "request with more than one host field, want exactly one"},
	ErrInvalidHost:            {400, detailsAuthority, false, "host field must be host or host:port without user information, path or list"},
	ErrContentLength:          {400, detailsCodec, false, "content-length must be one decimal number up to 9223372036854775807 without sign or leading zero"},
	ErrDuplicateContentLength: {400, detailsCodec, false, "more than one content-length field, want at most one"},
	ErrTransferEncoding:       {501, detailsTransferEncoding, false, "transfer-encoding must be exactly chunked, in one field line"},
	ErrTransferEncodingHTTP10: {400, detailsTransferEncoding, false, "transfer-encoding in an HTTP/1.0 message, want content-length"},
	ErrLengthAndChunked:       {400, "http1.content_length_and_chunked_not_allowed", false, "content-length and transfer-encoding in one message, want one of them"},
	ErrBodyOnConnect:          {400, "http1.body_disallowed", false, "CONNECT request with a body, want none"},
	ErrConnectionField:        {400, "http1.connection_header_rejected", false, "connection field must list fewer than 10 tokens, and no pseudo-header or x-forwarded-for, -host, -proto"},
	ErrExpect:                 {417, "http1.expectation_failed", false, "expect must be 100-continue"},

	ErrStatusLine:                 {502, detailsCodec, false, "status line must be HTTP/1.1 or HTTP/1.0, one space, three digits, and an optional reason without control characters"},
	ErrStatusCode:                 {502, detailsCodec, false, "status code must be 100 to 599"},
	ErrLengthNotAllowed:           {502, "http1.content_length_not_allowed", false, "content-length in a 1xx or 204 response, want none or 0"},
	ErrTransferEncodingNotAllowed: {502, "http1.transfer_encoding_not_allowed", false, "transfer-encoding in a 1xx or 204 response, want none"},
	ErrSwitchWithoutUpgrade:       {502, detailsCodec, false, "101 response without an upgrade field, want the protocol switched to"},

	ErrChunkSize:               {400, detailsCodec, false, "chunk size must be 1 to 16 hexadecimal digits up to 7fffffffffffffff followed by CRLF or an extension"},
	ErrChunkExtension:          {400, detailsCodec, false, "chunk extension holds a control character; of those only HTAB is allowed"},
	ErrChunkExtensionsTooLarge: {400, detailsCodec, false, "chunk extensions of one body exceed 4096 bytes"},
	ErrChunkEnd:                {400, detailsCodec, false, "chunk data must be followed by CRLF directly"},
	ErrTrailersTooLarge:        {431, detailsTooLarge, false, "trailer section exceeds the size limit"},
	ErrTooManyTrailers:         {431, detailsTooMany, false, "trailer section exceeds the limit on the number of field lines"},
}

// Status returns the status code of the answer to a client whose request was refused. When a response was refused, the
// client gets a 502 whatever Status says.
func (e Error) Status() int { return refusals[e].status }

// Details returns what Envoy calls the response code details of the answer.
func (e Error) Details() string { return refusals[e].details }

// Body returns the body of the answer, empty when it has none.
func (e Error) Body() string {
	if refusals[e].emptyBody {
		return ""
	}
	return ReasonPhrase(refusals[e].status)
}

// Error returns what is wrong and what would be valid.
func (e Error) Error() string {
	if e == noError {
		return "no error"
	}
	return refusals[e].text
}
