//go:build race

package acceptance

// raceEnabled says that the race detector is on, whose own allocations would be counted.
const raceEnabled = true
