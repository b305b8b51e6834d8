package tls

import "time"

// What protocols fix.
const (
	// maxAuthorities bounds the names of the CA bundle, in bytes as a CertificateRequest lists them (RFC 8446 §4.2.4).
	// The list has a length of 16 bits, and crypto/tls takes handshake messages of up to 64 KiB, of which the rest of the
	// message needs less than 4.
	maxAuthorities = 60 << 10
	// authorityPrefix is what each name takes there beside itself: its length.
	authorityPrefix = 2
)

// What is our choice.
const (
	// maxFile bounds a file, and what is instead of one, in bytes. A chain has a few KiB; the CA bundle of an operating system 250.
	maxFile = 1 << 20
	// maxChain bounds the certificates that are sent with every handshake: a leaf and what is between it and a root.
	maxChain = 10
	// minRSABits is the least size of an RSA key, in bits: RFC 9325 §4.5, and what Envoy takes.
	minRSABits = 2048
	// pollInterval is how often [ServerContext.Watch] looks at the files. Reading three small files costs next to nothing,
	// and rotations come days before they are needed.
	pollInterval = 10 * time.Second
	// maxTicketKeys bounds the session ticket keys of a context: a ticket is tried with each of them.
	maxTicketKeys = 16
)
