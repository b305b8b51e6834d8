package ads_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
)

// twoServers are two control planes that are one, with metadata and back-off of their own.
func twoServers(c *talk, o *ads.Options) {
	o.Servers = []ads.Server{
		{
			Targets: []string{"passthrough:///one", "passthrough:///two"}, DialOptions: c.server.DialOptions(),
			Authority: "first", Metadata: metadata.Pairs("who", "1"), BackoffBase: time.Second, BackoffMax: 4 * time.Second,
		},
		{
			Targets: []string{"passthrough:///three"}, DialOptions: c.server.DialOptions(),
			Authority: "second", Metadata: metadata.Pairs("who", "2", "who", "two"), BackoffBase: time.Minute, BackoffMax: time.Minute,
		},
	}
	o.Jitter = func(n int64) int64 { return n - 1 }
}

// TestServersInTurn holds the order in which targets are tried, and the waits between: each server has its own back-off.
func TestServersInTurn(t *testing.T) {
	change := func(c *talk, o *ads.Options) {
		twoServers(c, o)
		c.server.Refuse()
	}
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		var tried []string
		last := c.server.Dial()
		for range 7 {
			st := c.State()
			next := c.server.Dial()
			tried = append(tried, fmt.Sprintf("%d %s %v", st.Server, strings.TrimPrefix(st.Target, "passthrough:///"), next.Sub(last)+1))
			last = next
		}
		want := "0 one 1s, 0 two 2s, 1 three 1m0s, 0 one 4s, 0 two 4s, 1 three 1m0s, 0 one 4s"
		if got := strings.Join(tried, ", "); got != want {
			t.Errorf("tried %s, want %s", got, want)
		}
	})
}

// TestServerThatAnsweredIsKept holds that the server that answered is asked again before others are, and that each is told its
// own metadata.
func TestServerThatAnsweredIsKept(t *testing.T) {
	converse(t, twoServers, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		for _, target := range []string{"one", "two"} {
			s := c.server.Accept()
			if md := s.Metadata(); md.Get("who")[0] != "1" || md.Get(":authority")[0] != "first" {
				t.Errorf("metadata %v", md)
			}
			if got := c.State().Target; got != "passthrough:///"+target {
				t.Errorf("target %s, want %s", got, target)
			}
			s.Close("without an answer")
		}
		for range 3 {
			s := c.server.Accept()
			if md := s.Metadata(); strings.Join(md.Get("who"), " ") != "2 two" || md.Get(":authority")[0] != "second" {
				t.Errorf("metadata %v", md)
			}
			s.Next()
			n := s.Send(worldURL, "v1")
			s.Expect("answer", request(worldURL, "v1", n))
			if st := c.State(); st.Server != 1 || !st.Connected {
				t.Errorf("state = %+v", st)
			}
			s.Close("after an answer")
		}
		s := c.server.Accept()
		s.Close("without an answer")
		if md := c.server.Accept().Metadata(); md.Get("who")[0] != "1" {
			t.Errorf("metadata %v", md)
		}
	})
}

// TestRateLimit holds that requests beyond the bucket wait, are sent in order with what is right by then, and are counted.
func TestRateLimit(t *testing.T) {
	change := func(_ *talk, o *ads.Options) {
		o.RateLimit = ads.RateLimit{MaxTokens: 2, FillRate: 0.5}
		o.Jitter = func(int64) int64 { return 0 }
	}
	converse(t, change, func(t *testing.T, c *talk) {
		start := time.Now()
		since := func() time.Duration { return time.Since(start) }
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Expect("first", request(worldURL, "", ""))
		c.Subscribe(namedURL, []string{"x"})
		s.Expect("second", request(namedURL, "", "", "x"))
		if st := c.State(); st.RateLimitEnforced != 0 || st.PendingRequests != 0 {
			t.Errorf("state = %+v", st)
		}
		n := s.Send(worldURL, "v1")
		synctest.Wait()
		c.Subscribe(namedURL, []string{"x", "y"})
		synctest.Wait()
		s.Silent("the bucket is empty")
		if st := c.State(); st.RateLimitEnforced == 0 || st.PendingRequests != 2 {
			t.Errorf("state = %+v", st)
		}
		c.Subscribe(namedURL, []string{"z"})
		s.Expect("the answer after one token", request(worldURL, "v1", n))
		if since() != 2*time.Second {
			t.Errorf("sent after %v, want 2s", since())
		}
		s.Expect("the names of then", request(namedURL, "", "", "z"))
		if since() != 4*time.Second {
			t.Errorf("sent after %v, want 4s", since())
		}
		synctest.Wait()
		if st := c.State(); st.PendingRequests != 0 {
			t.Errorf("state = %+v", st)
		}

		s.Close("going away")
		s = c.server.Accept()
		s.Expect("the bucket outlives the stream", request(worldURL, "v1", ""))
		if since() != 6*time.Second {
			t.Errorf("sent after %v, want 6s", since())
		}
		s.Expect("second", request(namedURL, "", "", "z"))
		if since() != 8*time.Second {
			t.Errorf("sent after %v, want 8s", since())
		}
	})
}

// TestRateLimitOfNothing holds that a request with nothing to say takes no token.
func TestRateLimitOfNothing(t *testing.T) {
	change := func(c *talk, o *ads.Options) {
		incremental(c, o)
		o.RateLimit = ads.RateLimit{MaxTokens: 3, FillRate: 0.01}
	}
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(namedURL, []string{"x"})
		s := c.server.AcceptDelta()
		s.Expect("first", delta(namedURL, "", "x"))
		c.handle = func(string, ads.Response) error {
			c.Subscribe(namedURL, []string{"x", "y"})
			c.Subscribe(namedURL, []string{"x"})
			return nil
		}
		for range 2 {
			n := s.Send(namedURL, "", nil, changedNamed("x", "1"))
			s.Expect("answer", delta(namedURL, n))
		}
		c.handle = func(string, ads.Response) error { return nil }
		start := time.Now()
		n := s.Send(namedURL, "", nil, changedNamed("x", "2"))
		s.Expect("answer", delta(namedURL, n))
		if waited := time.Since(start); waited != 100*time.Second {
			t.Errorf("the fourth request waited %v, want 100s", waited)
		}
	})
}

// TestChangeOfMindWhileWaiting holds that a request that has lost its meaning while it waited for the rate limit is not sent: one
// without names would ask for all resources, and one with the names of before for nothing.
func TestChangeOfMindWhileWaiting(t *testing.T) {
	for _, variant := range []struct {
		name  string
		delta bool
	}{{"world", false}, {"delta", true}} {
		t.Run(variant.name, func(t *testing.T) {
			change := func(_ *talk, o *ads.Options) {
				o.Incremental = variant.delta
				o.RateLimit = ads.RateLimit{MaxTokens: 1, FillRate: 0.1}
			}
			converse(t, change, func(t *testing.T, c *talk) {
				c.server.Reasking()
				c.Subscribe(worldURL, nil)
				c.Subscribe(namedURL, []string{"x"})
				requests := acceptPeer(c, false, variant.delta).(interface {
					Silent(string)
					Drain()
				})
				requests.Drain()
				c.Subscribe(namedURL, nil)
				wait(time.Minute)
				requests.Silent("nothing is wanted any more")
				c.Subscribe(namedURL, []string{"x"})
				synctest.Wait()
				requests.Drain()
				c.Subscribe(namedURL, []string{"x", "y"})
				synctest.Wait()
				c.Subscribe(namedURL, []string{"x"})
				wait(time.Minute)
				requests.Silent("what is wanted is what the server knows")
			})
		})
	}
}

// TestSign holds that what is sent is made anew for each stream, and that a stream is not opened without it.
func TestSign(t *testing.T) {
	streams := 0 // of the goroutine of Run
	change := func(_ *talk, o *ads.Options) {
		o.Servers[0].Metadata = metadata.Pairs("who", "me")
		o.Servers[0].Sign = func(sent metadata.MD) (metadata.MD, error) {
			if streams++; streams > 2 {
				return nil, errors.New("no token")
			}
			return metadata.Join(sent, metadata.Pairs("token", fmt.Sprint(streams))), nil
		}
	}
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		for _, token := range []string{"1", "2"} {
			s := c.server.Accept()
			if md := s.Metadata(); md.Get("who")[0] != "me" || md.Get("token")[0] != token {
				t.Errorf("metadata %v, want the token %s", md, token)
			}
			s.Close("again")
		}
		wait(time.Minute)
		c.server.NoStream()
		if got := c.State().LastError; got != "no token" {
			t.Errorf("the attempt failed with %q", got)
		}
	})
}
