package adstest

import (
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const url = "t"

// wantFound compares what rules have found, in parts of its text.
func wantFound(t *testing.T, r *rules, want ...string) {
	t.Helper()
	if len(r.found) != len(want) {
		t.Fatalf("found %q, want %q", r.found, want)
	}
	for i := range want {
		if !strings.Contains(r.found[i], want[i]) {
			t.Errorf("found %q, want %q in it", r.found[i], want[i])
		}
	}
}

func newWorldStream(r *rules) *worldStream {
	return &worldStream{rules: r, method: "m", types: make(map[string]*worldTurns)}
}

// ask is a request in the state of the world.
func ask(version, nonce string, names ...string) *discoveryv3.DiscoveryRequest {
	return &discoveryv3.DiscoveryRequest{
		TypeUrl: url, VersionInfo: version, ResponseNonce: nonce, ResourceNames: names, Node: &corev3.Node{Id: "n"},
	}
}

func nack(version, nonce string, code int32, message string, names ...string) *discoveryv3.DiscoveryRequest {
	q := ask(version, nonce, names...)
	q.ErrorDetail = &statuspb.Status{Code: code, Message: message}
	return q
}

// TestRulesOfTheWorld runs conversations of which each breaks one rule, or none.
func TestRulesOfTheWorld(t *testing.T) {
	type conversation func(r *rules, s *worldStream)
	requests := func(list ...*discoveryv3.DiscoveryRequest) conversation {
		return func(_ *rules, s *worldStream) {
			s.request(list[0])
			s.response(url, "v1", "1")
			s.response(url, "v2", "2")
			for _, q := range list[1:] {
				s.request(q)
			}
		}
	}
	// again has a second stream begin with q, when the first has accepted v1 and not answered v2.
	again := func(q *discoveryv3.DiscoveryRequest) conversation {
		return func(r *rules, s *worldStream) {
			requests(ask("", ""), ask("v1", "1"))(r, s)
			s.ended()
			newWorldStream(r).request(q)
		}
	}
	// crossing has a response on its way when the first request comes.
	crossing := func(list ...*discoveryv3.DiscoveryRequest) conversation {
		return func(_ *rules, s *worldStream) {
			s.response(url, "v1", "1")
			s.request(ask("", ""))
			s.response(url, "v2", "2")
			s.response(url, "v3", "3")
			for _, q := range list {
				s.request(q)
			}
		}
	}
	without := func(q *discoveryv3.DiscoveryRequest) *discoveryv3.DiscoveryRequest {
		q.Node = nil
		return q
	}
	for name, tt := range map[string]struct {
		run  conversation
		want []string
	}{
		"good":                         {requests(ask("", "", "a"), ask("v1", "1", "a"), ask("v1", "1", "a", "b"), ask("v2", "2", "a", "b")), nil},
		"refused":                      {requests(ask("", ""), nack("", "1", 13, "no"), ask("v2", "2")), nil},
		"refused later":                {requests(ask("", ""), ask("v1", "1"), nack("v1", "2", 13, "no")), nil},
		"nothing wanted":               {requests(ask("", "", "a"), ask("", "", "a", "b"), ask("", ""), ask("", "1"), ask("v2", "2")), nil},
		"no nonce":                     {requests(ask("", ""), ask("v1", "1"), ask("v1", "", "a")), []string{`a request has no nonce, want that of the last response, "1"`}},
		"nonce at first":               {requests(ask("", "0")), []string{`the first request of a stream has the nonce "0"`}},
		"unknown nonce":                {requests(ask("", ""), ask("v1", "9", "a")), []string{`the nonce "9" was never sent`, "want the one that was accepted last"}},
		"unanswered":                   {requests(ask("", ""), ask("v2", "2")), []string{`the response "1" is not answered`}},
		"back":                         {requests(ask("", ""), ask("v1", "1"), ask("v2", "2"), ask("v2", "1", "a")), []string{`the response "1" is answered again`}},
		"storm":                        {requests(ask("", "", "a"), ask("v1", "1", "a"), ask("v1", "1", "a")), []string{"says nothing new"}},
		"new version in a refusal":     {requests(ask("", ""), nack("v1", "1", 13, "no")), []string{`version "v1", want the one that was accepted last, ""`}},
		"old version in an acceptance": {requests(ask("", ""), ask("v1", "1"), ask("v1", "2")), []string{`version "v1" in an acknowledgement, want that of the response, "v2"`}},
		"version of a change":          {requests(ask("", ""), ask("v1", "1"), ask("v2", "1", "a")), []string{`version "v2", want the one that was accepted last, "v1"`}},
		"code":                         {requests(ask("", ""), nack("", "1", 3, "no")), []string{"want code 13"}},
		"no reason":                    {requests(ask("", ""), nack("", "1", 13, "")), []string{"and a message"}},
		"error twice":                  {requests(ask("", ""), nack("", "1", 13, "no"), nack("", "1", 13, "no", "a")), []string{"an error is told that answers nothing"}},
		"name twice":                   {requests(ask("", "", "a", "a")), []string{"have one twice"}},
		"no node":                      {requests(without(ask("", ""))), []string{"0 of 1 requests"}},
		"node at first":                {requests(ask("", ""), without(ask("v1", "1")), without(ask("v2", "2"))), nil},
		"node now and then":            {requests(ask("", ""), without(ask("v1", "1")), ask("v2", "2")), []string{"2 of 3 requests"}},
		"version kept":                 {again(ask("v1", "")), nil},
		"version that nobody heard of": {again(ask("v2", "")), nil},
		"version lost":                 {again(ask("", "")), []string{`version "", want the one that was accepted last, "v1"`}},
		"nonce of another stream":      {again(ask("v1", "1")), []string{`the first request of a stream has the nonce "1"`}},
		"dropped":                      {crossing(ask("v2", "2")), nil},
		"crossed":                      {crossing(ask("v1", "1"), ask("v2", "2")), nil},
		"crossed, and then unanswered": {crossing(ask("v3", "3")), []string{`the response "2" is not answered`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRules()
			tt.run(r, newWorldStream(r))
			wantFound(t, r, tt.want...)
		})
	}
}

func newDeltaStream(r *rules) *deltaStream {
	return &deltaStream{rules: r, method: "m", types: make(map[string]*deltaTurns)}
}

// change is a request in the incremental variant: names that begin with a minus are unsubscribed from.
func change(nonce string, names ...string) *discoveryv3.DeltaDiscoveryRequest {
	q := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: nonce, Node: &corev3.Node{Id: "n"}}
	for _, name := range names {
		if gone, ok := strings.CutPrefix(name, "-"); ok {
			q.ResourceNamesUnsubscribe = append(q.ResourceNamesUnsubscribe, gone)
		} else {
			q.ResourceNamesSubscribe = append(q.ResourceNamesSubscribe, name)
		}
	}
	return q
}

func held(q *discoveryv3.DeltaDiscoveryRequest, versions map[string]string) *discoveryv3.DeltaDiscoveryRequest {
	q.InitialResourceVersions = versions
	return q
}

func refused(nonce string) *discoveryv3.DeltaDiscoveryRequest {
	q := change(nonce)
	q.ErrorDetail = &statuspb.Status{Code: 13, Message: "no"}
	return q
}

// TestRulesOfChanges runs conversations of which each breaks one rule, or none.
func TestRulesOfChanges(t *testing.T) {
	type conversation func(r *rules, s *deltaStream)
	resource := func(name, version string, ttl *durationpb.Duration) *discoveryv3.Resource {
		return &discoveryv3.Resource{Name: name, Version: version, Resource: &anypb.Any{}, Ttl: ttl}
	}
	requests := func(list ...*discoveryv3.DeltaDiscoveryRequest) conversation {
		return func(_ *rules, s *deltaStream) {
			s.request(list[0])
			s.response(url, &discoveryv3.DeltaDiscoveryResponse{Nonce: "1", Resources: []*discoveryv3.Resource{resource("a", "1", nil), resource("b", "1", &durationpb.Duration{})}})
			s.response(url, &discoveryv3.DeltaDiscoveryResponse{Nonce: "2", Resources: []*discoveryv3.Resource{resource("c", "1", nil)}})
			for _, q := range list[1:] {
				s.request(q)
			}
		}
	}
	// again has a second stream begin with q, when the first has accepted "a" and not "c".
	again := func(q *discoveryv3.DeltaDiscoveryRequest) conversation {
		return func(r *rules, s *deltaStream) {
			requests(change("", "a", "b", "c"), change("1"), refused("2"))(r, s)
			newDeltaStream(r).request(q)
		}
	}
	removed := func(r *rules, s *deltaStream) {
		requests(change(""), change("1"), change("2"))(r, s)
		s.response(url, &discoveryv3.DeltaDiscoveryResponse{Nonce: "3", RemovedResources: []string{"a"}})
		s.request(change("3"))
		newDeltaStream(r).request(held(change(""), map[string]string{"c": "1"}))
	}
	for name, tt := range map[string]struct {
		run  conversation
		want []string
	}{
		"good":                     {requests(change("", "a"), change("1"), change("", "c"), change("2", "-a", "d")), nil},
		"refused":                  {requests(change(""), refused("1"), change("2")), nil},
		"nonce twice":              {requests(change("", "a"), change("1"), change("1", "b")), []string{`the response "1" is answered again`}},
		"unknown nonce":            {requests(change("", "a"), change("9", "b")), []string{`the nonce "9" was never sent`}},
		"unanswered":               {requests(change(""), change("2")), []string{`the response "1" is not answered`}},
		"storm":                    {requests(change("", "a"), change("")), []string{"says nothing new"}},
		"error without a nonce":    {requests(change(""), refused("")), []string{"an error is told that answers nothing"}},
		"all names again":          {requests(change("", "a"), change("1", "a", "b")), []string{`"a" is subscribed to again`}},
		"gone and back":            {requests(change("", "a"), change("1", "-a"), change("", "a")), nil},
		"never asked for":          {requests(change("", "a"), change("1", "-b")), []string{`"b" is unsubscribed from`}},
		"versions later":           {requests(change(""), held(change("1"), map[string]string{"a": "1"})), []string{"in a later request of a stream"}},
		"versions at first":        {again(held(change("", "a", "b", "c"), map[string]string{"a": "1", "b": "1"})), nil},
		"expired":                  {again(held(change("", "a", "b", "c"), map[string]string{"a": "1"})), nil},
		"not asked for any more":   {again(change("", "b", "c")), nil},
		"versions forgotten":       {again(change("", "a", "b", "c")), []string{`do not have "a"`}},
		"versions that never were": {again(held(change("", "a", "b", "c"), map[string]string{"a": "2"})), []string{`"a" in version "2", which was never sent`}},
		"removed":                  {removed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRules()
			tt.run(r, newDeltaStream(r))
			wantFound(t, r, tt.want...)
		})
	}
}
