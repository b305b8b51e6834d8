// Package http1 is the HTTP/1 codec: bytes to messages and back (RFC 9112). It decides nothing and does no I/O.
//
// It is strict where leniency has let requests be smuggled: what it accepts has one reading. Where RFC 9112 leaves a
// choice, it chooses as follows.
//
//   - Lines end in CRLF. Bare LF, bare CR and folded lines are refused. One empty line may precede a request line.
//   - Versions are HTTP/1.1 and, where accepted, HTTP/1.0. HTTP/1.2 and above do not exist and are refused.
//   - A target holds visible ASCII characters only and no fragment.
//   - HTTP/1.1 requests have exactly one valid Host field, also beside an absolute-form target, whose authority wins.
//   - Content-Length occurs once and is one number without leading zeros; equal repetitions are refused as well.
//   - Transfer-Encoding occurs once and is exactly chunked. It is refused beside Content-Length and in HTTP/1.0.
//   - Upgrade is kept when Connection names it, it occurs once, it does not ask for h2c, and the request has no body.
//     Otherwise it is ignored, as RFC 9110 section 7.8 allows: a body and what follows a switch of protocols could not be
//     told apart by everybody.
//   - CONNECT takes no body. Content-Length: 0 passes.
//
// A refusal is decided when the line at fault is complete, so the outcome never depends on how the bytes were segmented.
// (What cannot be the first byte of a message is refused at once.)
//
// Parsed messages borrow the buffer they were parsed from, and field names are put in lower case in place.
package http1
