// Package inspect reads what a connection begins with, before anybody serves it: the ClientHello of TLS, the first line of
// HTTP/1 or the preface of HTTP/2, and the header of the PROXY protocol.
//
// Each parser is given all bytes that have come so far, again and again until it knows, and says so as soon as it can: bytes
// that cannot become what it looks for are told at the first one that differs. It does no I/O and keeps nothing of what it is
// given. What it does for all calls on one connection together grows with the number of bytes, not with its square.
package inspect

// Verdict is what a parser makes of the bytes so far.
type Verdict uint8

// The verdicts.
const (
	More     Verdict = iota // they may become what is looked for
	Found                   // they are, or begin with, what is looked for
	Other                   // they are something else
	TooLarge                // they would be, but go on for too long
)
