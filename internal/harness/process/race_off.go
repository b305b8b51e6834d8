//go:build !race

package process

// Race says that the test and the proxy run with the race detector: several times slower and larger, so that bounds of
// memory and time mean nothing.
const Race = false
