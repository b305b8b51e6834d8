package ads_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
)

// record is what was handled.
type record struct {
	mu    sync.Mutex
	lines []string
}

// living records what is handled, each response in a line: full or delta, the version, what is there, what is removed.
func living(c *talk) *record {
	got := &record{}
	c.handle = func(_ string, r ads.Response) error {
		line := "full " + r.Version
		if r.Incremental {
			line = "delta " + r.Version
		}
		for _, res := range r.Resources {
			line += " +" + res.Name
		}
		for _, name := range r.Removed {
			line += " -" + name
		}
		got.mu.Lock()
		defer got.mu.Unlock()
		got.lines = append(got.lines, line)
		if r.Version == "bad" {
			return errors.New("it does not fit")
		}
		return nil
	}
	return got
}

func wantHandled(t *testing.T, what string, got *record, want ...string) {
	t.Helper()
	synctest.Wait()
	got.mu.Lock()
	defer got.mu.Unlock()
	if strings.Join(got.lines, ", ") != strings.Join(want, ", ") {
		t.Fatalf("%s: handled %q, want %q", what, got.lines, want)
	}
	got.lines = nil
}

// wait lets the bubble's time pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func seconds(n int64) *durationpb.Duration { return &durationpb.Duration{Seconds: n} }

// lent is a resource of the state of the world with a time to live; nil of either is left out.
func lent(t *testing.T, name string, message proto.Message, ttl *durationpb.Duration) proto.Message {
	t.Helper()
	wrapper := &discoveryv3.Resource{Name: name, Ttl: ttl}
	if message != nil {
		wrapper.Resource = packed(t, message)
	}
	return wrapper
}

func TestWorldExpires(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		send := func(version string, resources ...proto.Message) {
			t.Helper()
			n := s.Send(worldURL, version, resources...)
			s.Expect("answer", request(worldURL, version, n))
		}
		send("v1", lent(t, "a", text("a"), seconds(10)), lent(t, "b", text("b"), seconds(20)), text("c"))
		wantHandled(t, "first", got, "full v1 +a +b +c")
		wait(9 * time.Second)
		send("v1", lent(t, "a", nil, seconds(10)))
		wait(9 * time.Second)
		wantHandled(t, "a heartbeat is not handled", got)
		send("v1", lent(t, "a", nil, seconds(10)), text("d"))
		wantHandled(t, "with a heartbeat in it a response does not have all there is", got, "delta v1 +d")
		wait(3 * time.Second)
		wantHandled(t, "b expires", got, "delta v1 -b")
		send("v2", lent(t, "a", text("a"), nil), lent(t, "b", text("b"), seconds(5)))
		wantHandled(t, "it comes again", got, "full v2 +a +b")
		wait(6 * time.Second)
		wantHandled(t, "without a ttl it stays", got, "delta v2 -b")
		send("v3", lent(t, "a", text("a"), seconds(5)))
		send("v4", text("c"))
		wait(time.Minute)
		wantHandled(t, "what is gone does not expire", got, "full v3 +a", "full v4 +c")
		send("v5", lent(t, "a", text("a"), seconds(0)))
		wantHandled(t, "no time at all", got, "full v5 +a", "delta v5 -a")
		s.Silent("expiry is not told")
		if stats := c.Stats(worldURL); stats.VersionText != "v5" || stats.UpdateRejected != 0 {
			t.Errorf("stats = %+v", stats)
		}
	})
}

func TestNamedWorldExpires(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(namedURL, []string{"x", "y"})
		s := c.server.Accept()
		s.Next()
		s.Send(namedURL, "v1", lent(t, "x", named("x"), seconds(10)), lent(t, "y", named("y"), seconds(10)), lent(t, "z", named("z"), seconds(10)))
		s.Next()
		s.Send(namedURL, "v2", named("y"))
		s.Next()
		wantHandled(t, "updates", got, "full v1 +x +y +z", "full v2 +y")
		wait(11 * time.Second)
		wantHandled(t, "absence means nothing, so x expires, but no stranger", got, "delta v2 -x")
		s.Send(namedURL, "v3", lent(t, "x", named("x"), seconds(10)))
		s.Next()
		c.Subscribe(namedURL, []string{"y"})
		s.Next()
		wait(time.Minute)
		wantHandled(t, "what is not asked for any more does not expire", got, "full v3 +x")
	})
}

func TestDeltaExpires(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(namedURL, []string{"x", "y", "z"})
		s := c.server.AcceptDelta()
		s.Next()
		lent := func(name, version string, ttl int64) adstest.Changed {
			changed := changedNamed(name, version)
			changed.TTL = seconds(ttl)
			return changed
		}
		s.Send(namedURL, "", nil, lent("x", "1", 10), lent("y", "1", 10), lent("z", "1", 10))
		s.Next()
		wantHandled(t, "first", got, "delta  +x +y +z")
		wait(9 * time.Second)
		n := s.Send(namedURL, "", nil, adstest.Changed{Name: "x", Version: "1", TTL: seconds(10)}, adstest.Changed{Name: "y", Version: "1"})
		s.Expect("a heartbeat is answered", delta(namedURL, n))
		wantHandled(t, "and not handled", got)
		wait(2 * time.Second)
		wantHandled(t, "z expires, y has no ttl any more", got, "delta  -z")
		wait(time.Minute)
		wantHandled(t, "x expires", got, "delta  -x")

		n = s.Send(namedURL, "", nil, adstest.Changed{Name: "x", Version: "1", TTL: seconds(10)})
		why := s.Expect("a heartbeat of what is not held", deltaRefusal(namedURL, n)).GetErrorDetail().GetMessage()
		if want := `resource 0: resource "x" has no body, and is no heartbeat: version "1" is not held`; why != want {
			t.Errorf("refused because %q, want %q", why, want)
		}
		n = s.Send(namedURL, "", nil, adstest.Changed{Name: "y", Version: "2", TTL: seconds(10)})
		s.Expect("a heartbeat of another version", deltaRefusal(namedURL, n))

		s.Close("again")
		s = c.server.AcceptDelta()
		s.Expect("what expired is not held", holding(delta(namedURL, "", "x", "y", "z"), map[string]string{"y": "1"}))
		s.Send(namedURL, "", nil, lent("x", "2", 10))
		s.Next()
		s.Send(namedURL, "", []string{"x"})
		s.Next()
		wait(time.Minute)
		wantHandled(t, "what the server removed does not expire", got, "delta  +x", "delta  -x")
	})
}

// TestExpiryWithoutStream holds that resources expire while the control plane is away, which is what a time to live is for.
func TestExpiryWithoutStream(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send(worldURL, "v1", lent(t, "a", text("a"), seconds(100)), text("b"))
		s.Next()
		c.server.Refuse()
		s.Close("down")
		wait(99 * time.Second)
		wantHandled(t, "held", got, "full v1 +a +b")
		wait(time.Second)
		wantHandled(t, "expired", got, "delta v1 -a")
	})
}

func TestBadTTL(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		for _, ttl := range []*durationpb.Duration{{Seconds: -1}, {Seconds: 1, Nanos: -1}, {Seconds: 1 << 60}} {
			n := s.Send(worldURL, "v1", lent(t, "a", text("a"), ttl))
			s.Expect("refusal", refusal(worldURL, "", n))
		}
		wantHandled(t, "none of it", got)
	})
}

// TestTTLOfARefusedResponse holds that a part of a response that took effect expires although the whole was refused.
func TestTTLOfARefusedResponse(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		got := living(c)
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		n := s.Send(worldURL, "bad", lent(t, "a", text("a"), seconds(10)))
		s.Expect("refusal", refusal(worldURL, "", n))
		wait(10 * time.Second)
		wantHandled(t, "expired", got, "full bad +a", "delta  -a")
	})
}
