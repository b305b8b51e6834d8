package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/tls"
)

// TestThresholds follows a host out and back.
func TestThresholds(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		b.wantNews(t, "k: 1.1.1.1 well")
		b.wantStats(t, "k", map[string]uint64{"attempt": 1, "success": 1, "failure": 0, "healthy": 1, "degraded": 0})
		b.set("1.1.1.1:80", networkFailure)
		time.Sleep(10 * time.Second)
		b.wantNews(t)
		time.Sleep(10 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 failed")
		b.wantStats(t, "k", map[string]uint64{"attempt": 3, "failure": 2, "network_failure": 2, "healthy": 0})
		b.set("1.1.1.1:80", passed)
		time.Sleep(10 * time.Second)
		b.wantNews(t)
		time.Sleep(10 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 well")
		b.set("1.1.1.1:80", failed)
		time.Sleep(10 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 failed")
		b.wantStats(t, "k", map[string]uint64{"attempt": 6, "success": 3, "failure": 3, "network_failure": 2, "healthy": 0})
		b.set("1.1.1.1:80", degraded)
		time.Sleep(20 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 failed+degraded", "k: 1.1.1.1 degraded")
		b.wantStats(t, "k", map[string]uint64{"healthy": 1, "degraded": 1})
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.1:80 @10s", "1.1.1.1:80 @20s", "1.1.1.1:80 @30s", "1.1.1.1:80 @40s",
			"1.1.1.1:80 @50s", "1.1.1.1:80 @1m0s", "1.1.1.1:80 @1m10s")
	})
}

// TestFirstFailureIsPublished holds that a host that fails its first probe is known to have: it was failed before, but for want
// of a probe.
func TestFirstFailureIsPublished(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.set("1.1.1.1:80", networkFailure)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2")))
		synctest.Wait()
		if got, want := b.latest("k"), " 1.1.1.1 failed 1.1.1.2 well"; got != want {
			t.Errorf("published%s, want%s", got, want)
		}
	})
}

func TestIntervalsOfASession(t *testing.T) {
	check := every10()
	check.UnhealthyThreshold, check.HealthyThreshold = 3, 3
	check.Intervals = config.HealthIntervals{
		InitialJitter: 4 * time.Second, Base: 10 * time.Second, Unhealthy: 30 * time.Second, UnhealthyEdge: time.Second,
		HealthyEdge: 2 * time.Second, NoTraffic: 100 * time.Second, NoTrafficHealthy: 200 * time.Second,
	}
	withChecker(t, func(t *testing.T, b *bench) {
		b.random = func(n int64) int64 { return n / 2 }
		b.set("1.1.1.1:80", passed, passed, networkFailure, timedOut, retriable, failed, passed, passed, passed, passed)
		b.serve(b.target("k", check, hosts("1.1.1.1")))
		time.Sleep(90 * time.Second)
		b.wantAsked(t, "1.1.1.1:80 @2s", "1.1.1.1:80 @12s", // well
			"1.1.1.1:80 @22s", "1.1.1.1:80 @23s", "1.1.1.1:80 @24s", // fails
			"1.1.1.1:80 @54s",                                             // failed
			"1.1.1.1:80 @1m24s", "1.1.1.1:80 @1m26s", "1.1.1.1:80 @1m28s") // and passes again
	})
	withChecker(t, func(t *testing.T, b *bench) {
		b.carried = false
		b.set("1.1.1.1:80", networkFailure, passed)
		b.serve(b.target("k", check, hosts("1.1.1.1")))
		time.Sleep(700 * time.Second)
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.1:80 @1m40s", "1.1.1.1:80 @3m20s", "1.1.1.1:80 @5m0s", "1.1.1.1:80 @8m20s", "1.1.1.1:80 @11m40s")
	})
}

func TestTimeout(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.slow("1.1.1.1:80", 5*time.Second)
		b.slow("1.1.1.2:80", time.Second-1)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2")))
		time.Sleep(2 * time.Second)
		b.wantNews(t, "k: 1.1.1.2 well", "k: 1.1.1.1 failed+timeout 1.1.1.2 well")
		b.wantStats(t, "k", map[string]uint64{"network_failure": 1, "failure": 1, "success": 1})
		time.Sleep(9*time.Second + time.Second/2) // the wait begins when the probe ends
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s", "1.1.1.1:80 @11s", "1.1.1.2:80 @10.999999999s")
	})
}

// TestUpdates holds what an update leaves alone, and what it begins anew.
func TestUpdates(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		check := every10()
		b.slow("1.1.1.3:80", time.Millisecond)
		b.set("1.1.1.1:80", failed)
		b.serve(b.target("k", check, hosts("1.1.1.1", "1.1.1.2")))
		synctest.Wait()
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s")
		b.forget()

		time.Sleep(time.Second)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2"))) // the same by other values
		b.wantNews(t)
		b.wantAsked(t)

		b.serve(b.target("k", check, hosts("1.1.1.2", "1.1.1.3"))) // one leaves, one comes
		b.wantNews(t, "k: 1.1.1.2 well")
		time.Sleep(time.Millisecond)
		b.wantNews(t, "k: 1.1.1.2 well 1.1.1.3 well")
		b.wantAsked(t, "1.1.1.3:80 @1s")
		b.wantClosed(t, "1.1.1.1:80")
		b.wantStats(t, "k", map[string]uint64{"healthy": 2})

		time.Sleep(9*time.Second - time.Millisecond)
		b.wantAsked(t, "1.1.1.2:80 @10s") // as if nothing had happened

		b.set("1.1.1.1:80", passed)
		b.slow("1.1.1.1:80", time.Millisecond)
		b.serve(b.target("k", check, hosts("1.1.1.1", "1.1.1.2"))) // one comes back, and is new
		b.wantAsked(t, "1.1.1.1:80 @10s")
		b.wantNews(t, "k: 1.1.1.2 well")
		time.Sleep(time.Millisecond)
		b.wantNews(t, "k: 1.1.1.1 well 1.1.1.2 well")
		b.wantClosed(t, "1.1.1.3:80")

		b.serve(b.target("k", check, nil)) // nothing is known of hosts
		b.wantNews(t, "k:")
		b.serve()
		b.wantNews(t)
		b.wantClosed(t, "1.1.1.1:80", "1.1.1.2:80")
		time.Sleep(time.Minute)
		b.wantAsked(t)
	})
}

// TestChangedCheck holds that hosts are asked anew when the check changes, and keep their health until they have answered.
func TestChangedCheck(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.set("1.1.1.2:80", failed)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2")))
		synctest.Wait()
		b.forget()
		other := every10()
		other.Timeout = 5 * time.Second
		b.slow("1.1.1.1:80", 2*time.Second)
		b.slow("1.1.1.2:80", 3*time.Second)
		b.set("1.1.1.1:80", networkFailure)
		b.set("1.1.1.2:80", passed)
		b.serve(b.target("k", other, hosts("1.1.1.1", "1.1.1.2")))
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s")
		b.wantNews(t)
		b.wantStats(t, "k", map[string]uint64{"healthy": 1})
		time.Sleep(4 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 failed 1.1.1.2 failed", "k: 1.1.1.1 failed 1.1.1.2 well")
		b.wantClosed(t, "1.1.1.1:80", "1.1.1.2:80")
	})
}

// TestEndpointChecks holds what health_check_config of an endpoint does, and that a change of it asks that host anew.
func TestEndpointChecks(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		a := hosts("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.3")
		e := a.Localities[0].Endpoints
		e[0].HealthCheck = config.EndpointHealthCheck{Port: 81}
		e[1].HealthCheck = config.EndpointHealthCheck{Disabled: true}
		e[2].HealthCheck = config.EndpointHealthCheck{IP: "2.2.2.2"}
		check := every10()
		b.serve(b.target("k", check, a))
		b.wantAsked(t, "1.1.1.1:81 @0s", "2.2.2.2:80 @0s")
		if got, want := b.latest("k"), " 1.1.1.1 well 1.1.1.3 well"; got != want {
			t.Errorf("published%s, want%s", got, want)
		}
		a = hosts("1.1.1.1", "1.1.1.2", "1.1.1.3")
		a.Localities[0].Endpoints[2].HealthCheck = e[2].HealthCheck
		b.serve(b.target("k", check, a))
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s")
		b.wantClosed(t, "1.1.1.1:81")
	})
}

// TestSocketChange has a host asked anew whose transport socket is another, and no host whose is not.
func TestSocketChange(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		label := &config.Labels{Values: map[string]string{"a": "1"}}
		sockets := func(context *tls.Upstream) *tls.Sockets {
			return &tls.Sockets{Matches: []tls.SocketMatch{{Labels: label, Context: context}}}
		}
		a := hosts("1.1.1.1", "1.1.1.2")
		a.Localities[0].Endpoints[0].SocketLabels = label
		target := b.target("k", every10(), a)
		target.TLS = sockets(&tls.Upstream{})
		b.serve(target)
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s")
		target.TLS = sockets(&tls.Upstream{})
		b.serve(target)
		b.wantAsked(t, "1.1.1.1:80 @0s")
		b.wantClosed(t, "1.1.1.1:80")
		target.TLS = sockets(target.TLS.Matches[0].Context)
		b.serve(target)
		b.wantAsked(t)
	})
}

// TestRemovalCancels holds that a probe of a host that has gone is cut off, and that what it finds does not count.
func TestRemovalCancels(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.slow("1.1.1.1:80", time.Second/2)
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		time.Sleep(time.Second / 4)
		b.serve()
		b.wantClosed(t, "1.1.1.1:80")
		b.wantNews(t)
		if since := time.Since(b.begin); since != time.Second/4 {
			t.Errorf("closed at %v", since)
		}
		b.wantStats(t, "k", map[string]uint64{"attempt": 1, "success": 0, "failure": 0, "healthy": 0})
	})
}

// TestCloseCancels holds that Close does not wait for hosts.
func TestCloseCancels(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.slow("1.1.1.1:80", time.Second/2)
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		synctest.Wait()
		b.Close()
		b.wantClosed(t, "1.1.1.1:80")
		if since := time.Since(b.begin); since != 0 {
			t.Errorf("closed after %v", since)
		}
		late := b.target("k", every10(), hosts("1.1.1.2"))
		b.serve(late)
		b.wantAsked(t, "1.1.1.1:80 @0s")
		b.WaitFirst(t.Context(), late.Config)
	})
}

func TestProbesAreBounded(t *testing.T) {
	// Few places, for the race detector does not survive many more than 255 goroutines that wake up at the same time.
	const places = 16
	withChecker(t, func(t *testing.T, b *bench) {
		if n := cap(b.places); n != maxProbes {
			t.Errorf("there are %d places, want %d", n, maxProbes)
		}
		b.places = make(chan struct{}, places)
		var ips []string
		for i := range 2*places + 1 {
			ip := fmt.Sprintf("1.1.%d.%d", i/200, i%200)
			ips = append(ips, ip)
			b.slow(ip+":80", time.Second/2)
		}
		b.serve(b.target("k", every10(), hosts(ips...)))
		time.Sleep(2 * time.Second)
		if most := b.mostRunning(); most != places {
			t.Errorf("%d probes were made at a time, want %d", most, places)
		}
		if n := strings.Count(b.latest("k"), " well"); n != len(ips) {
			t.Errorf("%d hosts pass, want %d", n, len(ips))
		}
		b.wantStats(t, "k", map[string]uint64{"success": uint64(len(ips)), "healthy": uint64(len(ips))})
	})
}

// TestChangesAreGathered holds that what is found while something is put into force goes into force together.
func TestChangesAreGathered(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.delay = 5 * time.Second
		for i, ip := range []string{"1.1.1.1", "1.1.1.2", "1.1.1.3"} {
			b.slow(ip+":80", time.Duration(i)*100*time.Millisecond)
		}
		b.slow("1.1.1.4:80", 50*time.Millisecond)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2", "1.1.1.3")), b.target("other", every10(), hosts("1.1.1.4")))
		time.Sleep(12 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 well", "k: 1.1.1.1 well 1.1.1.2 well 1.1.1.3 well", "other: 1.1.1.4 well")
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s", "1.1.1.3:80 @0s", "1.1.1.4:80 @0s", "1.1.1.1:80 @10s", "1.1.1.2:80 @10.1s",
			"1.1.1.3:80 @10.2s", "1.1.1.4:80 @10.05s")
	})
}

// TestChangesArePaced holds that the first change goes into force at once, and those that follow not all the time.
func TestChangesArePaced(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.pause = publishPause
		var ips []string
		for i := range 100 {
			ip := fmt.Sprintf("1.1.1.%d", i)
			ips = append(ips, ip)
			b.slow(ip+":80", time.Duration(i)*time.Millisecond)
		}
		b.serve(b.target("k", every10(), hosts(ips...)))
		if got := b.latest("k"); got != " 1.1.1.0 well" {
			t.Errorf("published%s, want the first at once", got)
		}
		time.Sleep(publishPause - 1)
		b.wantNews(t, "k: 1.1.1.0 well")
		time.Sleep(time.Second)
		synctest.Wait()
		if n := b.timesTold(); n > 2 {
			t.Errorf("published %d times more for 99 ms of changes, want at most 2", n)
		}
		if n := strings.Count(b.latest("k"), " well"); n != len(ips) {
			t.Errorf("%d hosts pass in the end, want %d", n, len(ips))
		}
	})
}

// TestBackBeforeItIsForgotten holds that a cluster that goes and comes back is not taken for what it was.
func TestBackBeforeItIsForgotten(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		b.wantNews(t, "k: 1.1.1.1 well")
		b.slow("1.1.1.1:80", time.Second/2)
		b.serve()
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		b.wantNews(t) // before it was asked
		time.Sleep(time.Second)
		b.wantNews(t, "k: 1.1.1.1 well")
	})
}

func TestWaitFirst(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		k := b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2"))
		b.WaitFirst(t.Context(), k.Config) // for nothing
		b.slow("1.1.1.1:80", 100*time.Millisecond)
		b.slow("1.1.1.2:80", 5*time.Second)
		b.delay = time.Second / 4
		b.serve(k)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		b.WaitFirst(ctx, k.Config)
		cancel()
		if waited := time.Since(begin); waited != time.Second/2 {
			t.Errorf("waited %v for a context of half a second", waited)
		}
		b.WaitFirst(t.Context(), k.Config)
		if waited := time.Since(begin); waited != time.Second+time.Second/4 {
			t.Errorf("waited %v for a host that is timed out after 1 s, and the time to publish it", waited)
		}
		if got, want := b.latest("k"), " 1.1.1.1 well 1.1.1.2 failed+timeout"; got != want {
			t.Errorf("published%s, want%s", got, want)
		}
	})
}

// TestWarming checks a cluster that warms beside the one that is served, whose place it takes then.
func TestWarming(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		served := b.target("k", every10(), hosts("1.1.1.1"))
		b.serve(served)
		b.wantNews(t, "k: 1.1.1.1 well")
		b.wantAsked(t, "1.1.1.1:80 @0s")
		warms := b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2"))
		warms.Warming = true
		b.set("1.1.1.1:80", failed)
		b.slow("1.1.1.2:80", time.Second/2)
		b.serve(served, warms)
		b.WaitFirst(t.Context(), warms.Config)
		b.wantAsked(t, "1.1.1.1:80 @0s", "1.1.1.2:80 @0s")
		b.wantNews(t, "k: 1.1.1.1 failed", "k: 1.1.1.1 failed 1.1.1.2 well") // of the one that warms
		b.wantStats(t, "k", map[string]uint64{"attempt": 3, "healthy": 1})   // of the one that is served

		warms.Warming = false
		b.serve(warms)
		b.wantNews(t)
		b.wantClosed(t, "1.1.1.1:80")
		time.Sleep(10 * time.Second)
		b.wantAsked(t, "1.1.1.1:80 @10s", "1.1.1.2:80 @10.5s")
		b.wantStats(t, "k", map[string]uint64{"healthy": 1})
	})
}

// TestFail takes hosts out by what traffic saw.
func TestFail(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		k := b.target("k", every10(), hosts("1.1.1.1"))
		b.serve(k)
		b.wantNews(t, "k: 1.1.1.1 well")
		b.Fail(&config.Cluster{Name: "other"}, config.Address{IP: "1.1.1.1", Port: 80})
		b.Fail(k.Config, config.Address{IP: "1.1.1.1", Port: 81})
		b.wantNews(t)
		b.Fail(k.Config, config.Address{IP: "1.1.1.1", Port: 80})
		b.wantNews(t, "k: 1.1.1.1 failed+excluded")
		b.wantStats(t, "k", map[string]uint64{"passive_failure": 1, "failure": 1, "network_failure": 0, "healthy": 0})
		time.Sleep(20 * time.Second)
		b.wantNews(t, "k: 1.1.1.1 well")
	})
}

// TestLog holds that each change of a host is told once, with the reason.
func TestLog(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.set("1.1.1.1:80", networkFailure, networkFailure, passed, passed, passed, degraded, networkFailure, timedOut, timedOut)
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		time.Sleep(95 * time.Second)
		synctest.Wait()
		var got []string
		for _, entry := range b.logged.TakeAll() {
			fields := entry.ContextMap()
			got = append(got, fmt.Sprintf("%s %s: %s %s", entry.Level, entry.Message, fields["host"], fields["outcome"]))
		}
		want := []string{
			"warn host fails its health check: 1.1.1.1:80 network failure",
			"info host passes its health check: 1.1.1.1:80 passed",
			"warn host fails its health check: 1.1.1.1:80 timeout",
		}
		if !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

func TestVerifyClusterIsCounted(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.verified = true
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2")))
		b.wantStats(t, "k", map[string]uint64{"verify_cluster": 2, "success": 2})
	})
	withChecker(t, func(t *testing.T, b *bench) {
		b.serve(b.target("k", every10(), hosts("1.1.1.1")))
		b.wantStats(t, "k", map[string]uint64{"verify_cluster": 0, "success": 1})
	})
}

// TestPanicCostsOneProbe holds that an answer which breaks the prober is that of a host that fails, and that checks go on.
func TestPanicCostsOneProbe(t *testing.T) {
	withChecker(t, func(t *testing.T, b *bench) {
		b.set("1.1.1.1:80", broke)
		b.serve(b.target("k", every10(), hosts("1.1.1.1", "1.1.1.2")))
		if got, want := b.latest("k"), " 1.1.1.1 failed 1.1.1.2 well"; got != want {
			t.Errorf("published%s, want%s", got, want)
		}
		if logged := b.logged.FilterMessage("panic in a health check").All(); len(logged) != 1 || logged[0].ContextMap()["panic"] != "it broke" {
			t.Errorf("logged %v", logged)
		}
		b.set("1.1.1.1:80", passed)
		time.Sleep(20 * time.Second)
		if got, want := b.latest("k"), " 1.1.1.1 well 1.1.1.2 well"; got != want {
			t.Errorf("published%s, want%s", got, want)
		}
	})
}
