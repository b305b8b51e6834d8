package fault

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// TestSharesAreIndependent holds that delays and aborts are drawn apart from each other, and from what chose the route: a share of
// 1/4 and one of 1/2 have 1/8 in common, also among the requests of a route with a small share.
func TestSharesAreIndependent(t *testing.T) {
	share := func(f config.RuntimeFraction) uint32 { return f.Default }
	f, err := Compile(&config.Fault{
		MaxActive: 1, Delay: time.Second, DelayShare: config.RuntimeFraction{Default: config.FractionAll / 4},
		Status: 500, AbortShare: config.RuntimeFraction{Default: config.FractionAll / 2},
	}, share)
	if err != nil {
		t.Fatal(err)
	}
	store := stats.NewStore(stats.Options{})
	scope := store.Scope("fault.", stats.Fault)
	block := store.NewShard(func(f func()) bool { f(); return true }).Block(scope)
	random, active := rand.NewPCG(1, 2), new(atomic.Uint64)
	const n = 200_000
	delays, aborts, both := 0, 0, 0
	for done := 0; done < n; {
		value := random.Uint64()
		if value%config.FractionAll >= config.FractionAll/10 {
			continue // another route
		}
		done++
		var s Stream
		if !s.Open(f, &message.Request{}, value, active, block) {
			continue
		}
		delay := s.Delay() > 0
		_, _, abort := s.Abort()
		s.Close()
		if delay {
			delays++
		}
		if abort {
			aborts++
		}
		if delay && abort {
			both++
		}
	}
	for what, got := range map[string][2]int{"delays": {delays, n / 4}, "aborts": {aborts, n / 2}, "both": {both, n / 8}} {
		if off := got[0] - got[1]; off < -n/100 || off > n/100 {
			t.Errorf("%s: %d of %d, want about %d", what, got[0], n, got[1])
		}
	}
	if active.Load() != 0 {
		t.Errorf("%d faults are still active", active.Load())
	}
}
