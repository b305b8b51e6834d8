//go:build race

package ratelimit

// raceEnabled tells that the race detector is on, which allocates and is slow.
const raceEnabled = true
