//go:build race

package hpack

// raceEnabled says that the race detector is on, which allocates on its own account.
const raceEnabled = true
