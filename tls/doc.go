// Package tls makes the TLS contexts of the process from files, and makes them anew when the files change. It is the only
// importer of crypto/tls but for the load generator of the lab.
//
// A [ServerContext] is what a server shows its clients and asks of them. The files are read whole and checked before
// anything of them is used, so what cannot work is refused with the file and the reason when it is read, and not by
// handshakes that fail later. A reload swaps the whole context at once: a handshake sees the old files or the new ones,
// connections that are established do not notice.
//
// A [Downstream] is the TLS of a filter chain and an [Upstream] that of a cluster: certificates, secrets of SDS and what is
// asked of the peer, put together once when the configuration is put into force. They do not change; another configuration
// makes others.
//
// TLS 1.2 is spoken with forward secrecy and authenticated encryption only (RFC 9325 §4.2), TLS 1.3 where the client can.
// Sessions of a [ServerContext] are not resumed: a ticket would let a client in that the present CA bundle no longer vouches
// for, and the connections here are few and long. Those of a [Downstream] are, and what vouched for a client is looked at again.
//
// Private keys stay in here. No error and no exported value has any part of one, not even through the words of a parser.
package tls
