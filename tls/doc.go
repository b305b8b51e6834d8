// Package tls makes the TLS contexts of the process from files, and makes them anew when the files change. It is the only
// importer of crypto/tls.
//
// A [ServerContext] is what a server shows its clients and asks of them. The files are read whole and checked before
// anything of them is used, so what cannot work is refused with the file and the reason when it is read, and not by
// handshakes that fail later. A reload swaps the whole context at once: a handshake sees the old files or the new ones,
// connections that are established do not notice.
//
// TLS 1.2 is spoken with forward secrecy and authenticated encryption only (RFC 9325 §4.2), TLS 1.3 where the client can.
// Sessions are not resumed: a ticket would let a client in that the present CA bundle no longer vouches for, and the
// connections here are few and long.
//
// Private keys stay in here. No error and no exported value has any part of one, not even through the words of a parser.
package tls
