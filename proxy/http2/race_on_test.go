//go:build race

package http2

// raceEnabled says that the race detector is on, which allocates on its own account.
const raceEnabled = true
