// Package http2 is the HTTP/2 codec (RFC 9113, RFC 7541, RFC 8441): frames to messages and back, on both sides of a proxy. It
// decides nothing but what the protocol decides: who is served, how and when a connection ends is its owner's.
//
// A connection has no task. What arrives is parsed on the event loop's thread as it comes, at most one read in a turn, and
// wakes the tasks of the streams that it concerns; these run in the same turn and gather frames; when the turn ends, body
// bytes that had to wait are added, a frame of each stream by turns, and everything goes out with one system call.
//
//	turn │ Ready: read once, parse        wake     TurnEnded: share out, keep
//	     │   HEADERS ─▶ message, task ────┐         what nobody took, credit
//	     │   DATA ────▶ stream's queue ──┐│                  ▲
//	     ▼                               ▼▼                  │
//	                           tasks: ReadBody, WriteHead, WriteBody
//
// Body bytes are borrowed from the connection's read buffer until the turn ends: a task that takes them in that turn, which
// is the rule, copies nothing. What is left then is copied into buffers of the stream, within the window that its peer was
// given.
//
// Frames on the path of every request (HEADERS, CONTINUATION, DATA, RST_STREAM, WINDOW_UPDATE) are parsed and written in
// place. All others go through the Framer of golang.org/x/net/http2, which copies and allocates, and knows all their rules.
// Field blocks are the business of package hpack.
package http2
