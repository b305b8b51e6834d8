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
	for _, c := range []shape{
		{}, {response: 16}, {request: 1 << 10, response: 1 << 10}, {request: 10 << 10, response: 40 << 10},
		{request: 16, response: 16, trailers: true},
	} {
		for side, d := range map[string]runner{"server": newServeDriver(t, c), "client": newAskDriver(t, c)} {
			t.Run(fmt.Sprintf("%s/%+v", side, c), func(t *testing.T) {
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
