package ads_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/ads/adstest"
)

func incremental(_ *talk, o *ads.Options) { o.Incremental = true }

// delta is what a client should send.
func delta(url, nonce string, subscribe ...string) *discoveryv3.DeltaDiscoveryRequest {
	return &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: nonce, ResourceNamesSubscribe: subscribe}
}

func deltaRefusal(url, nonce string) *discoveryv3.DeltaDiscoveryRequest {
	r := delta(url, nonce)
	r.ErrorDetail = &statuspb.Status{Code: 13}
	return r
}

func unsubscribe(r *discoveryv3.DeltaDiscoveryRequest, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	r.ResourceNamesUnsubscribe = names
	return r
}

func holding(r *discoveryv3.DeltaDiscoveryRequest, held map[string]string) *discoveryv3.DeltaDiscoveryRequest {
	r.InitialResourceVersions = held
	return r
}

func changedText(name, version string) adstest.Changed {
	return adstest.Changed{Name: name, Version: version, Message: text(name)}
}

func changedNamed(name, version string) adstest.Changed {
	return adstest.Changed{Name: name, Version: version, Message: named(name)}
}

func TestDeltaAcknowledge(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		var got []string
		c.handle = func(_ string, r ads.Response) error {
			if !r.Incremental {
				t.Error("the response does not say that it is incremental")
			}
			for _, res := range r.Resources {
				got = append(got, "+"+res.Name+"@"+res.Version)
			}
			for _, name := range r.Removed {
				got = append(got, "-"+name)
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.AcceptDelta()
		s.Expect("first request", delta(worldURL, ""))
		n := s.Send(worldURL, "v1", nil, changedText("a", "1"), changedText("b", "1"), changedText("c", "1"))
		s.Expect("answer", delta(worldURL, n))
		n = s.Send(worldURL, "v2", []string{"b"}, changedText("a", "2"), adstest.Changed{Name: "c", Version: "1"})
		s.Expect("answer to a removal", delta(worldURL, n))
		synctest.Wait()
		s.Silent("after the answers")
		if got, want := strings.Join(got, " "), "+a@1 +b@1 +c@1 +a@2 -b"; got != want {
			t.Errorf("handled %s, want %s", got, want)
		}
		if stats := c.Stats(worldURL); stats.UpdateSuccess != 2 || stats.VersionText != "v2" {
			t.Errorf("stats = %+v", stats)
		}
	})
}

func TestDeltaNamesAreDifferences(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		c.server.Reasking()
		c.Subscribe(namedURL, []string{"x", "y"})
		s := c.server.AcceptDelta()
		s.Expect("first", delta(namedURL, "", "x", "y"))
		c.Subscribe(namedURL, []string{"z", "y"})
		s.Expect("one goes, one comes", unsubscribe(delta(namedURL, "", "z"), "x"))
		c.handle = func(string, ads.Response) error {
			c.Subscribe(namedURL, []string{"y", "q"})
			return nil
		}
		n := s.Send(namedURL, "", nil, changedNamed("y", "1"))
		s.Expect("answer and change in one", unsubscribe(delta(namedURL, n, "q"), "z"))
		c.handle = func(string, ads.Response) error {
			c.Subscribe(namedURL, []string{"q"})
			c.Subscribe(namedURL, []string{"q", "y"})
			return nil
		}
		n = s.Send(namedURL, "", nil, changedNamed("q", "1"))
		s.Expect("given up and wanted again: asked for anew", delta(namedURL, n, "y"))
		c.Subscribe(namedURL, nil)
		s.Expect("nothing is wanted", unsubscribe(delta(namedURL, ""), "q", "y"))
		n = s.Send(namedURL, "", nil, changedNamed("y", "2"))
		s.Expect("an answer all the same", delta(namedURL, n))
		synctest.Wait()
		s.Silent("at the end")
	})
}

// TestDeltaReconnect holds that a new stream is told what is held: what was accepted and not removed or given up.
func TestDeltaReconnect(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		c.handle = func(_ string, r ads.Response) error {
			if r.Version == "bad" {
				return errors.New("no")
			}
			return nil
		}
		c.Subscribe(namedURL, []string{"x", "y"})
		c.Subscribe(worldURL, nil)
		s := c.server.AcceptDelta()
		s.Expect("first", delta(namedURL, "", "x", "y"))
		s.Expect("second", delta(worldURL, ""))
		s.Send(worldURL, "w1", nil, changedText("a", "1"), changedText("b", "1"))
		s.Next()
		s.Send(worldURL, "w2", []string{"a"})
		s.Next()
		s.Send(namedURL, "n1", nil, changedNamed("x", "1"), changedNamed("y", "1"), changedNamed("stranger", "1"))
		s.Next()
		s.Send(worldURL, "bad", nil, changedText("c", "1"))
		s.Next()
		c.Subscribe(namedURL, []string{"y"})
		s.Expect("one is given up", unsubscribe(delta(namedURL, ""), "x"))
		s.Close("going away")
		c.Subscribe(namedURL, []string{"y", "z"})

		s = c.server.AcceptDelta()
		s.Expect("versions of the named", holding(delta(namedURL, "", "y", "z"), map[string]string{"y": "1"}))
		s.Expect("and of the world, without what was refused", holding(delta(worldURL, ""), map[string]string{"b": "1"}))
		synctest.Wait()
		s.Silent("after the subscriptions")
	})
}

func TestDeltaRefusal(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		c.handle = func(string, ads.Response) error { return errors.New("no") }
		c.Subscribe(worldURL, nil)
		s := c.server.AcceptDelta()
		s.Next()
		n := s.Send(worldURL, "", nil, changedText("a", "1"))
		got := s.Expect("refusal", deltaRefusal(worldURL, n))
		if got.GetErrorDetail().GetMessage() != "no" {
			t.Errorf("detail %q", got.GetErrorDetail().GetMessage())
		}
		n = s.Send(worldURL, "", nil, changedText("a", "2"))
		s.Expect("another version is refused at once", deltaRefusal(worldURL, n))
		sent := time.Now()
		n = s.Send(worldURL, "", nil, changedText("a", "2"))
		s.Expect("the same again later", deltaRefusal(worldURL, n))
		if waited := time.Since(sent); waited != ads.RepeatedRefusalDelay {
			t.Errorf("answered after %v, want %v", waited, ads.RepeatedRefusalDelay)
		}
	})
}

func TestDeltaUndecodable(t *testing.T) {
	converse(t, incremental, func(t *testing.T, c *talk) {
		c.handle = func(string, ads.Response) error {
			t.Error("a response that cannot be decoded was handled")
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.AcceptDelta()
		s.Next()
		for _, tt := range []struct {
			what    string
			removed []string
			changed []adstest.Changed
			why     string
		}{
			{"removed twice", []string{"a", "a"}, nil, `removed resource 1: duplicate resource "a"`},
			{"both", []string{"a"}, []adstest.Changed{changedText("a", "1")}, `removed resource 0: duplicate resource "a"`},
			{"another type", nil, []adstest.Changed{{Name: "a", Message: named("a")}}, `resource 0: type URL "` + namedURL},
			{"another name", nil, []adstest.Changed{changedText("a", ""), {Name: "b", Message: text("c")}}, `resource 1: resource "c": its wrapper names it "b"`},
			{"twice", nil, []adstest.Changed{changedText("a", "1"), changedText("a", "2")}, `resource 1: duplicate resource "a"`},
		} {
			n := s.Send(worldURL, tt.what, tt.removed, tt.changed...)
			got := s.Expect(tt.what, deltaRefusal(worldURL, n)).GetErrorDetail().GetMessage()
			if !strings.Contains(got, tt.why) {
				t.Errorf("%s: detail %q, want %q in it", tt.what, got, tt.why)
			}
		}
	})
}

// TestWorldVersions holds that the versions of resources in the state of the world are those of their responses.
func TestWorldVersions(t *testing.T) {
	converse(t, nil, func(t *testing.T, c *talk) {
		var versions []string
		c.handle = func(_ string, r ads.Response) error {
			for _, res := range r.Resources {
				versions = append(versions, res.Version)
			}
			return nil
		}
		c.Subscribe(worldURL, nil)
		s := c.server.Accept()
		s.Next()
		s.Send(worldURL, "v1", text("a"), &discoveryv3.Resource{Name: "b", Version: "own", Resource: packed(t, text("b"))})
		s.Next()
		if want := []string{"v1", "own"}; !slices.Equal(versions, want) {
			t.Errorf("versions %q, want %q", versions, want)
		}
	})
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	p, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
