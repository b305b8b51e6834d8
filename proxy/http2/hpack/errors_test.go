package hpack

import (
	"fmt"
	"strings"
	"testing"
)

func TestErrorsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for e := noError; e < errorCount; e++ {
		if seen[e.Error()] || e.Error() == "" {
			t.Errorf("error %d: text %q is empty or another's", e, e.Error())
		}
		seen[e.Error()] = true
	}
	for e, limit := range map[Error]int{ErrInteger: maxIntegerOctets, ErrSizeUpdateCount: maxSizeUpdates} {
		if !strings.Contains(e.Error(), fmt.Sprintf("more than %d ", limit)) {
			t.Errorf("%q does not name the limit of %d", e.Error(), limit)
		}
	}
}
