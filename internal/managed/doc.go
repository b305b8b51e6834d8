// Package managed tests the proxy as control planes manage it. It has no code of its own.
//
//   - TestCorpus: what control planes have sent, over the wire, and what of it is accepted
//   - TestDriver: go-control-plane's own test driver, each mode in a network namespace, because its ports are fixed
package managed
