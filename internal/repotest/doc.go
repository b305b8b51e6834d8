// Package repotest has tests of the repository itself: which package may import which, how long files and functions may
// be, and whether what the documents say is so. It has nothing but tests.
//
// The documents are the data of these tests. The import graph is the table in docs/architecture.md; the lists of fields in
// docs/compatibility.md are written from the decoders' own tables by
//
//	go test ./internal/repotest -run TestCompatibility -update
package repotest
