// Package managed tests the proxy as control planes manage it. It has no code of its own.
//
//   - TestCorpus: what control planes have sent, over the wire, and what of it is accepted
//   - TestDriver: go-control-plane's own test driver, each mode in a network namespace, because its ports are fixed
//   - TestRandomSnapshots: worlds with good and bad parts one after the other, under traffic. -managed.full, or make managed, serves
//     1,000 of them; -managed.seed repeats a run
//   - TestOutage: control planes that die and come back, as they were or not, with 0 failed requests
package managed
