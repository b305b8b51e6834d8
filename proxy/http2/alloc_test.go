package http2

import (
	"fmt"
	"testing"
)

// runner does exchanges and counts allocations.
type runner interface{ run(n int) uint64 }

// TestAllocNothing demands that an exchange allocates nothing once tables, buffers and pools have grown.
func TestAllocNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct{ request, response int }{{0, 0}, {0, 16}, {1 << 10, 1 << 10}, {10 << 10, 10 << 10}} {
		for side, d := range map[string]runner{
			"server": newServeDriver(t, c.request, c.response),
			"client": newAskDriver(t, c.request, c.response),
		} {
			t.Run(fmt.Sprintf("%s/%d-%d", side, c.request, c.response), func(t *testing.T) {
				const n = 1000
				d.run(n)
				// The runtime allocates now and then on its own account.
				if allocs := d.run(n); allocs > n/100 {
					t.Errorf("%d allocations in %d exchanges, want none", allocs, n)
				}
			})
		}
	}
}
