package bench

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var b strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&b, 4, func() time.Time { return now })
	p.say("%d cpus", 2)
	now = now.Add(10 * time.Second)
	p.round("a: %d", 1)
	p.skip(1)
	now = now.Add(20 * time.Second)
	p.round("b")
	now = now.Add(time.Second)
	p.round("c")
	want := "2 cpus\n[1/4, 30s left] a: 1\n[2/3, 15s left] b\n[3/3, 0s left] c\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
