//go:build !race

package route

// raceEnabled says that the race detector is on, which allocates on its own account.
const raceEnabled = false
