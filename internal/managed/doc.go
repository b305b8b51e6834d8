// Package managed tests the proxy as control planes manage it. It has no code of its own.
//
//   - TestCorpus: what control planes have sent, over the wire, and what of it is accepted
package managed
