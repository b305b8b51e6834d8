package ads_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
)

// The resources of these tests are strings and numbers; the transport must not care.
const (
	worldURL = "type.googleapis.com/google.protobuf.StringValue" // asked for by wildcard
	namedURL = "type.googleapis.com/google.protobuf.BytesValue"  // asked for by name
)

func text(name string) proto.Message  { return wrapperspb.String(name) }
func named(name string) proto.Message { return wrapperspb.Bytes([]byte(name)) }

// talk is a client in conversation with a scripted server.
type talk struct {
	*ads.Client
	server *adstest.Server
	// handle is called with every response, by the client's goroutine.
	handle func(url string, r ads.Response) error
	lost   []error
	stop   func() // ends Run and waits for it
}

// converse runs script in a bubble, with a client that has done nothing yet.
func converse(t *testing.T, change func(*talk, *ads.Options), script func(*testing.T, *talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &talk{server: adstest.New(t)}
		c.handle = func(string, ads.Response) error { return nil }
		opts := ads.Options{
			Servers:      []ads.Server{{Targets: []string{adstest.Target}, DialOptions: c.server.DialOptions()}},
			Node:         &corev3.Node{Id: "n", Cluster: "c"},
			Types:        []ads.Type{c.typ(worldURL, true), c.typ(namedURL, false)},
			Logger:       zap.NewNop(),
			OnDisconnect: func(err error) { c.lost = append(c.lost, err) },
		}
		if change != nil {
			change(c, &opts)
		}
		client, err := ads.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		c.Client = client
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			client.Run(ctx)
		}()
		c.stop = func() {
			cancel()
			<-done
		}
		defer c.stop()
		script(t, c)
	})
}

func (c *talk) typ(url string, wildcard bool) ads.Type {
	return ads.Type{
		URL:      url,
		Wildcard: wildcard,
		Decode: func(packed *anypb.Any) (string, proto.Message, error) {
			message, err := packed.UnmarshalNew()
			if err != nil {
				return "", nil, err
			}
			switch m := message.(type) {
			case *wrapperspb.StringValue:
				return m.GetValue(), m, nil
			case *wrapperspb.BytesValue:
				return string(m.GetValue()), m, nil
			}
			return "", nil, fmt.Errorf("unexpected %T", message)
		},
		Handle: func(_ context.Context, r ads.Response) error { return c.handle(url, r) },
	}
}

// request is what a client should send.
func request(url, version, nonce string, names ...string) *discoveryv3.DiscoveryRequest {
	return &discoveryv3.DiscoveryRequest{TypeUrl: url, VersionInfo: version, ResponseNonce: nonce, ResourceNames: names}
}

func refusal(url, version, nonce string, names ...string) *discoveryv3.DiscoveryRequest {
	r := request(url, version, nonce, names...)
	r.ErrorDetail = &statuspb.Status{Code: 13}
	return r
}

func TestAcknowledge(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		var got []string
		c.handle = func(_ string, r ads.Response) error {
			for _, res := range r.Resources {
				got = append(got, r.Version+":"+res.Name)
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Expect("first request", request(worldURL, "", ""))
		n := s.Send(worldURL, "v1", text("a"), text("b"))
		s.Expect("answer", request(worldURL, "v1", n))
		n = s.Send(worldURL, "v2")
		s.Expect("answer to an empty world", request(worldURL, "v2", n))
		synctest.Wait()
		s.Silent("after the answers")
		if want := "v1:a v1:b"; strings.Join(got, " ") != want {
			t.Errorf("handled %v, want %s", got, want)
		}
		stats := c.Stats(worldURL)
		if stats.UpdateAttempt != 3 || stats.UpdateSuccess != 2 || stats.UpdateRejected != 0 || stats.VersionText != "v2" ||
			stats.Version != ads.VersionHash("v2") {
			t.Errorf("stats = %+v", stats)
		}
		if st := c.State(); !st.Connected || !st.Heard {
			t.Errorf("state = %+v", st)
		}
	})
}

func TestRefuseThenFix(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(_ string, r ads.Response) error {
			if r.Version == "bad" {
				return errors.New("it does not fit")
			}
			return nil
		}
		c.Subscribe(namedURL, []string{"y", "x", "y"})
		s := c.server.Accept()
		s.Expect("first request", request(namedURL, "", "", "x", "y"))
		n := s.Send(namedURL, "bad", named("x"))
		s.Expect("refusal of the first version", refusal(namedURL, "", n, "x", "y"))
		n = s.Send(namedURL, "v1", named("x"))
		s.Expect("acceptance", request(namedURL, "v1", n, "x", "y"))
		n = s.Send(namedURL, "bad", named("x"))
		nack := s.Expect("refusal keeps the version", refusal(namedURL, "v1", n, "x", "y"))
		if nack.GetErrorDetail().GetMessage() != "it does not fit" {
			t.Errorf("error detail %q", nack.GetErrorDetail().GetMessage())
		}
		c.Subscribe(namedURL, []string{"x"})
		s.Expect("an error is told once", request(namedURL, "v1", n, "x"))
		if stats := c.Stats(namedURL); stats.UpdateRejected != 2 || stats.VersionText != "v1" {
			t.Errorf("stats = %+v", stats)
		}
	})
}

func TestUndecodableResponseIsRefusedWhole(t *testing.T) {
	wrap := func(name string, inner *anypb.Any) proto.Message {
		packed, err := anypb.New(&discoveryv3.Resource{Name: name, Resource: inner})
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	a, err := anypb.New(text("a"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		resources []proto.Message
		why       string // empty: accepted
	}{
		{"wrapped", []proto.Message{wrap("a", a)}, ""},
		{"not protobuf", []proto.Message{text("a"), &anypb.Any{TypeUrl: worldURL, Value: []byte{0xff}}}, "resource 1: "},
		{"another type", []proto.Message{named("a")}, `resource 0: type URL "` + namedURL + `" in a response of type "` + worldURL + `"`},
		{"twice the same name", []proto.Message{text("a"), text("b"), text("a")}, `resource 2: duplicate resource "a", want each name once in a response`},
		{"wrapped under another name", []proto.Message{wrap("b", a)}, `resource 0: resource "a": its wrapper names it "b"`},
		{"wrapper without body", []proto.Message{wrap("a", nil)}, `resource 0: resource "a" has no body`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			converse(t, nil, func(t *testing.T, c *talk) {
				handled := false
				c.handle = func(string, ads.Response) error { handled = true; return nil }
				c.Subscribe(worldURL, nil)
				s := c.server.Accept()
				s.Next()
				n := s.Send(worldURL, "v1", tt.resources...)
				if tt.why == "" {
					s.Expect("answer", request(worldURL, "v1", n))
					return
				}
				nack := s.Expect("answer", refusal(worldURL, "", n))
				if !strings.HasPrefix(nack.GetErrorDetail().GetMessage(), tt.why) {
					t.Errorf("refused because %q, want %q", nack.GetErrorDetail().GetMessage(), tt.why)
				}
				if handled {
					t.Error("a part of it was handled")
				}
			})
		})
	}
}

// TestChildrenFirst holds the order in which one response leads to requests: what it subscribed to, then its own answer,
// one request each however many changes there were.
func TestChildrenFirst(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(url string, _ ads.Response) error {
			if url == worldURL {
				c.Subscribe(namedURL, []string{"x"})
				c.Subscribe(namedURL, []string{"x", "y"})
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		n := s.Send(worldURL, "v1", text("a"))
		s.Expect("subscription", request(namedURL, "", "", "x", "y"))
		s.Expect("answer", request(worldURL, "v1", n))
		m := s.Send(namedURL, "v1", named("x"), named("y"))
		s.Expect("answer", request(namedURL, "v1", m, "x", "y"))
		c.Subscribe(namedURL, []string{"y", "x"})
		synctest.Wait()
		s.Silent("after a subscription to the same names")
	})
}

func TestAnswerCarriesChangedNames(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(string, ads.Response) error {
			c.Subscribe(namedURL, []string{"x", "z"})
			return nil
		}
		c.Subscribe(namedURL, []string{"x"})
		s := c.server.Accept()
		s.Next()
		n := s.Send(namedURL, "v1", named("x"))
		s.Expect("answer and change in one", request(namedURL, "v1", n, "x", "z"))
		synctest.Wait()
		s.Silent("after the answer")
	})
}

func TestReconnect(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(_ string, r ads.Response) error {
			if r.Version == "bad" {
				return errors.New("no")
			}
			return nil
		}
		c.Subscribe(namedURL, []string{"x"})
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Expect("first", request(namedURL, "", "", "x"))
		s.Expect("second", request(worldURL, "", ""))
		s.Send(worldURL, "w1", text("a"))
		s.Next()
		s.Send(namedURL, "n1", named("x"))
		s.Next()
		s.Send(worldURL, "bad", text("a"))
		s.Next()
		s.Close("going away")
		c.Subscribe(namedURL, []string{"x", "y"})

		s = c.server.Accept()
		s.Expect("versions kept, nonces cleared, first order", request(namedURL, "n1", "", "x", "y"))
		s.Expect("no old error", request(worldURL, "w1", ""))
		synctest.Wait()
		s.Silent("after the subscriptions")
		if len(c.lost) != 1 || !strings.Contains(c.lost[0].Error(), "going away") {
			t.Errorf("disconnections: %v", c.lost)
		}
		if stats := c.Stats(worldURL); stats.UpdateFailure != 1 {
			t.Errorf("stats = %+v", stats)
		}
	})
}

func TestNode(t *testing.T) {
	for _, firstOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("first message only %v", firstOnly), func(t *testing.T) {
			change := func(_ *talk, o *ads.Options) { o.NodeOnFirstMessageOnly = firstOnly }
			converse(t, change, func(t *testing.T, c *talk) {
				c.Subscribe(worldURL, nil)
				c.Subscribe(namedURL, []string{"x"})
				for range 2 {
					s := c.server.Accept()
					first, second := s.Next(), s.Next()
					s.Send(worldURL, "v1")
					third := s.Next()
					if first.GetNode().GetId() != "n" {
						t.Errorf("first request of the stream has the node %v", first.GetNode())
					}
					if got := second.GetNode() == nil && third.GetNode() == nil; got != firstOnly {
						t.Errorf("later requests: %v, %v", second.GetNode(), third.GetNode())
					}
					s.Close("again")
				}
			})
		})
	}
}

func TestUnknownAndUnwantedTypes(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(url string, _ ads.Response) error {
			if url != worldURL {
				t.Errorf("response of %s was handled", url)
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send("type.googleapis.com/google.protobuf.Duration", "v1")
		s.Send(namedURL, "v1", named("x"))
		synctest.Wait()
		s.Silent("after responses that nobody asked for")

		c.Subscribe(namedURL, []string{"x"})
		s.Expect("subscription", request(namedURL, "", "", "x"))
		c.Subscribe(namedURL, nil)
		s.Expect("end of the subscription", request(namedURL, "", ""))
		n := s.Send(namedURL, "v1", named("x"))
		s.Expect("not taken", request(namedURL, "", n))
		n = s.Send(namedURL, "v1", named("x"))
		s.Expect("taken, or it would come for ever", request(namedURL, "v1", n))
		n = s.Send(namedURL, "v2")
		s.Expect("taken, for there is nothing in it", request(namedURL, "v2", n))

		s.Close("again")
		s = c.server.Accept()
		s.Expect("world", request(worldURL, "", ""))
		synctest.Wait()
		s.Silent("no names would mean all resources on a new stream")

		s.Send(namedURL, "v3")
		s.Send(namedURL, "v4", named("x"))
		synctest.Wait()
		s.Silent("what this stream was not asked for is dropped")
		c.Subscribe(namedURL, []string{"x"})
		s.Expect("and leaves no trace in the first request", request(namedURL, "v2", "", "x"))
	})
}

// TestRepeatedRefusal holds that a server which resends at once what was refused does not spin with us.
func TestRepeatedRefusal(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(_ string, r ads.Response) error {
			if r.Version == "bad" {
				return errors.New("no")
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		start := time.Now()
		const rounds = 10
		for range rounds {
			n := s.Send(worldURL, "bad", text("a"))
			s.Expect("one answer", refusal(worldURL, "", n))
		}
		if took, want := time.Since(start), (rounds-1)*ads.RepeatedRefusalDelay; took < want {
			t.Errorf("%d refusals took %v, want at least %v", rounds, took, want)
		}
		start = time.Now()
		n := s.Send(worldURL, "v2", text("a"))
		s.Expect("the fix", request(worldURL, "v2", n))
		n = s.Send(worldURL, "bad", text("a"))
		s.Expect("a first refusal is not delayed", refusal(worldURL, "v2", n))
		if took := time.Since(start); took != 0 {
			t.Errorf("the fix was answered after %v", took)
		}
	})
}

// TestRefusalOfMore holds that a refusal is not delayed when the version that was refused comes again because more was asked
// for, before or after it came.
func TestRefusalOfMore(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(string, ads.Response) error { return errors.New("no") }
		c.Subscribe(namedURL, []string{"a", "b"})
		s := c.server.Accept()
		s.Next()
		start := time.Now()
		n := s.Send(namedURL, "bad", named("a"))
		s.Expect("one of two", refusal(namedURL, "", n, "a", "b"))
		n = s.Send(namedURL, "bad", named("a"), named("b"))
		s.Expect("both", refusal(namedURL, "", n, "a", "b"))
		c.Subscribe(namedURL, []string{"a", "b", "c"})
		s.Expect("three", request(namedURL, "", n, "a", "b", "c"))
		n = s.Send(namedURL, "bad", named("a"), named("b"))
		s.Expect("the third is not there", refusal(namedURL, "", n, "a", "b", "c"))
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v, want no delay", took)
		}
	})
}

// TestBackoff holds the bounds of the wait between attempts: random below 500 ms doubled each time up to 30 s, and from
// the start again once a message came.
func TestBackoff(t *testing.T) {
	var bounds chan time.Duration
	change := func(c *talk, o *ads.Options) {
		c.server.Refuse()
		bounds = make(chan time.Duration, 100)
		o.Jitter = func(n int64) int64 {
			bounds <- time.Duration(n)
			return n - 1
		}
	}
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		last := c.server.Dial()
		for i, want := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
			want *= time.Millisecond
			next := c.server.Dial()
			if bound := <-bounds; bound != want || next.Sub(last) != want-1 {
				t.Errorf("wait %d: bound %v, took %v, want %v", i, bound, next.Sub(last), want)
			}
			last = next
		}
		if st := c.State(); st.Connected || !strings.Contains(st.LastError, "connection refused") {
			t.Errorf("state = %+v", st)
		}
		synctest.Wait()
		c.server.Admit()
		s := c.server.Accept()
		<-bounds
		s.Next()
		s.Close("without a message")
		s = c.server.Accept()
		if got := <-bounds; got != 30*time.Second {
			t.Errorf("bound after a stream without a message: %v", got)
		}
		s.Next()
		s.Send(worldURL, "v1")
		s.Next()
		s.Close("after a message")
		c.server.Accept()
		if got := <-bounds; got != 500*time.Millisecond {
			t.Errorf("bound after a stream with a message: %v", got)
		}
	})
}

func TestJitterIsSpread(t *testing.T) {
	change := func(c *talk, _ *ads.Options) { c.server.Refuse() }
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		last := c.server.Dial()
		low, high := 0, 0
		for i := range 100 {
			next := c.server.Dial()
			wait := next.Sub(last)
			last = next
			if wait > 30*time.Second {
				t.Fatalf("wait %d is %v", i, wait)
			}
			if i < 7 {
				continue // still growing
			}
			if wait < 15*time.Second {
				low++
			} else {
				high++
			}
		}
		if low < 20 || high < 20 {
			t.Errorf("%d waits in the lower half, %d in the upper", low, high)
		}
	})
}

func TestRestart(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send(worldURL, "v1")
		s.Next()
		start := time.Now()
		c.Restart()
		s.WaitClosed()
		s = c.server.Accept()
		s.Expect("version kept", request(worldURL, "v1", ""))
		if took := time.Since(start); took != 0 {
			t.Errorf("restart took %v", took)
		}
		if len(c.lost) != 0 || c.Stats(worldURL).UpdateFailure != 0 {
			t.Errorf("a restart was counted as a failure: %v", c.lost)
		}
		c.server.Refuse()
		s.Close("down")
		c.server.Dial() // of the restart
		synctest.Wait()
		c.Restart()
		synctest.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("a restart waited for %v", took)
		}
	})
}

func TestSecondTarget(t *testing.T) {
	var dialled []string
	change := func(c *talk, o *ads.Options) {
		c.server.Refuse()
		o.Servers[0].Targets = []string{"passthrough:///one", adstest.Target}
	}
	converse(t, change, func(t *testing.T, c *talk) {
		c.Subscribe(worldURL, nil)
		for range 4 {
			c.server.Dial()
			dialled = append(dialled, c.State().Target)
		}
		if dialled[0] == dialled[1] || dialled[0] != dialled[2] || dialled[1] != dialled[3] {
			t.Errorf("tried %v, want both in turns", dialled)
		}
	})
}

func TestErrorDetailIsBoundedText(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		c.handle = func(_ string, r ads.Response) error {
			return errors.New("\xff" + strings.Repeat("ü", ads.MaxErrorDetail))
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		n := s.Send(worldURL, "v1")
		text := s.Expect("refusal", refusal(worldURL, "", n)).GetErrorDetail().GetMessage()
		if len(text) > ads.MaxErrorDetail || len(text) < ads.MaxErrorDetail-8 || !utf8.ValidString(text) || !strings.HasSuffix(text, "ü...") {
			t.Errorf("%d bytes, valid %v: %.20q", len(text), utf8.ValidString(text), text[len(text)-8:])
		}
	})
}

func TestTooLargeResponseEndsTheStream(t *testing.T) {
	change := func(_ *talk, o *ads.Options) { o.Servers[0].MaxReceiveBytes = 1000 }
	converse(t, change, func(t *testing.T, c *talk) {
		c.handle = func(string, ads.Response) error { t.Error("it was handled"); return nil }
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send(worldURL, "v1", text(strings.Repeat("x", 2000)))
		c.server.Accept()
		if len(c.lost) != 1 || !strings.Contains(c.lost[0].Error(), "larger than max") {
			t.Errorf("disconnections: %v", c.lost)
		}
	})
}

func TestStopWhileHandling(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		entered := make(chan struct{})
		leave := make(chan struct{})
		c.handle = func(string, ads.Response) error {
			close(entered)
			<-leave
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send(worldURL, "v1")
		<-entered
		go func() {
			time.Sleep(time.Nanosecond) // of the bubble's time: it passes once stop waits for the handler
			close(leave)
		}()
		c.stop()
		synctest.Wait()
		s.Silent("after the end")
	})
}

func TestNewRefuses(t *testing.T) {
	node := &corev3.Node{Id: "n", Cluster: "c"}
	good := ads.Options{Servers: []ads.Server{{Targets: []string{"t"}}}, Node: node, Logger: zap.NewNop()}
	tests := []struct {
		name   string
		change func(*ads.Options)
	}{
		{"no server", func(o *ads.Options) { o.Servers = nil }},
		{"no target", func(o *ads.Options) { o.Servers = append(o.Servers, ads.Server{}) }},
		{"no fill rate", func(o *ads.Options) { o.RateLimit.MaxTokens = 1 }},
		{"endless fill rate", func(o *ads.Options) { o.RateLimit = ads.RateLimit{MaxTokens: 1, FillRate: math.Inf(1)} }},
		{"fill rate that is no number", func(o *ads.Options) { o.RateLimit = ads.RateLimit{MaxTokens: 1, FillRate: math.NaN()} }},
		{"no node", func(o *ads.Options) { o.Node = nil }},
		{"no cluster", func(o *ads.Options) { o.Node = &corev3.Node{Id: "n"} }},
		{"no logger", func(o *ads.Options) { o.Logger = nil }},
		{"type twice", func(o *ads.Options) { o.Types = []ads.Type{{URL: worldURL}, {URL: worldURL}} }},
		{"own service of two types", func(o *ads.Options) { o.OwnService, o.Types = true, []ads.Type{{URL: clusterURL}, {URL: worldURL}} }},
		{"own service of a type without", func(o *ads.Options) { o.OwnService, o.Types = true, []ads.Type{{URL: worldURL}} }},
	}
	if _, err := ads.New(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if _, err := ads.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}
