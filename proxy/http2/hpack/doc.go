// Package hpack is HPACK, the header compression of HTTP/2 (RFC 7541): field blocks to fields and back, without
// allocation once the tables of a connection have grown. It does no I/O and knows nothing of frames: a block is given to
// the decoder whole.
//
// A Decoder belongs to what comes in on one connection and an Encoder to what goes out; neither may be used by two
// goroutines at once. Their tables take memory when the first entry is inserted, grow by doubling, and keep what they
// took: 0.4 KiB for the first few fields, and at most three times the size of the table. An encoder takes 1.5 KiB more, to
// find entries and to remember what it sent.
//
// The decoder tells two kinds of fault apart. An Error means that the block could not be read: the tables of the two sides
// differ from there on, and the connection has to be closed with COMPRESSION_ERROR (RFC 9113 section 4.3). A field that
// could be read but must not be in a message is marked with what is Malformed about it, and decoding goes on.
//
// Where RFC 7541 leaves a choice, the encoder chooses as follows. What counts is our CPU time, then the table's hit rate,
// then bytes on the wire.
//
//   - A field is inserted into the dynamic table when it is sent for the second time within a short while. What is
//     different in each message (identifiers, lengths, times) never displaces what is not. When entries are evicted before
//     they were of use, fewer are inserted.
//   - Fields that must not be guessed are never indexed (section 7.1.3): those marked so by their sender, authorization,
//     proxy-authorization, and short cookies.
//   - Only strings that are inserted are Huffman-coded, where that makes them shorter: they are sent once. Coding what
//     is sent in each message would cost more than all the rest of encoding it.
//   - Names are referred to in the static table only. A name that is not in it is spelled out.
//   - The table has at most 4096 bytes, whatever the peer allows: a larger one costs memory for each connection and saves
//     little.
package hpack
