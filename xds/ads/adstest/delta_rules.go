package adstest

import (
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// delta is what is known of a type in the incremental variant from all streams.
type delta struct {
	// sent are the versions in which each resource was ever sent. held are the resources that the client has acknowledged, without
	// those that have a time to live, which ends without a word.
	sent map[string][]string
	held map[string]bool
}

// deltaStream is the state of one stream.
type deltaStream struct {
	rules  *rules
	method string
	nodes  nodes
	types  map[string]*deltaTurns
}

type deltaTurns struct {
	turns
	responses []*discoveryv3.DeltaDiscoveryResponse
	told      map[string]bool // names that the client wants
	named     bool            // it asked for names, and not for all there is
}

// wants reports whether the client has asked for a resource.
func (t *deltaTurns) wants(name string) bool { return !t.named || t.told[name] }

func (s *deltaStream) of(url string) *deltaTurns {
	t := s.types[url]
	if t == nil {
		t = &deltaTurns{turns: turns{url: url}, told: make(map[string]bool)}
		s.types[url] = t
	}
	return t
}

func (s *deltaStream) delta(url string) *delta {
	key := s.method + " " + url
	d := s.rules.deltas[key]
	if d == nil {
		d = &delta{sent: make(map[string][]string), held: make(map[string]bool)}
		s.rules.deltas[key] = d
	}
	return d
}

func (s *deltaStream) response(url string, response *discoveryv3.DeltaDiscoveryResponse) {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	t, d := s.of(url), s.delta(url)
	t.sent(response.GetNonce())
	t.responses = append(t.responses, response)
	for _, resource := range response.GetResources() {
		d.sent[resource.GetName()] = append(d.sent[resource.GetName()], resource.GetVersion())
	}
	for _, name := range response.GetRemovedResources() {
		delete(d.held, name) // whether it is acknowledged or not, the client need not say that it has it
	}
}

func (s *deltaStream) request(q *discoveryv3.DeltaDiscoveryRequest) {
	r := s.rules
	r.mu.Lock()
	defer r.mu.Unlock()
	url := q.GetTypeUrl()
	t, d := s.of(url), s.delta(url)
	s.nodes.request(r, url, q.GetNode())
	changes := len(q.GetResourceNamesSubscribe()) + len(q.GetResourceNamesUnsubscribe())
	i := t.answers(r, q.GetResponseNonce(), false)
	switch {
	case i >= 0:
		s.answer(q, t, d, i)
	case q.GetErrorDetail() != nil:
		r.violated(url, "an error is told that answers nothing: %v", q.GetErrorDetail())
	case t.asked && changes == 0:
		r.violated(url, "a request says nothing new")
	}
	s.subscription(q, t, d)
	if !t.asked {
		s.initialVersions(q, t, d)
	} else if len(q.GetInitialResourceVersions()) > 0 {
		r.violated(url, "initial_resource_versions in a later request of a stream: %v", q.GetInitialResourceVersions())
	}
	t.asked = true
}

// subscription checks that a request has differences.
func (s *deltaStream) subscription(q *discoveryv3.DeltaDiscoveryRequest, t *deltaTurns, d *delta) {
	for _, name := range q.GetResourceNamesUnsubscribe() {
		if !t.told[name] {
			s.rules.violated(t.url, "%q is unsubscribed from, which the client never asked for", name)
		}
		delete(t.told, name)
		delete(d.held, name)
	}
	t.named = t.named || len(q.GetResourceNamesSubscribe()) > 0
	for _, name := range q.GetResourceNamesSubscribe() {
		if t.told[name] && !s.rules.reasking {
			s.rules.violated(t.url, "%q is subscribed to again", name)
		}
		t.told[name] = true
	}
}

// answer takes over what the client has acknowledged.
func (s *deltaStream) answer(q *discoveryv3.DeltaDiscoveryRequest, t *deltaTurns, d *delta, i int) {
	if q.GetErrorDetail() != nil {
		s.rules.refusal(t.url, q.GetErrorDetail())
		return
	}
	for _, resource := range t.responses[i].GetResources() {
		name := resource.GetName()
		switch {
		case resource.GetTtl() != nil:
			delete(d.held, name)
		case t.wants(name) && resource.GetResource() != nil:
			d.held[name] = true
		}
	}
}

// initialVersions checks that the first request of a stream has all that is held, in versions that were sent.
func (s *deltaStream) initialVersions(q *discoveryv3.DeltaDiscoveryRequest, t *deltaTurns, d *delta) {
	for name, version := range q.GetInitialResourceVersions() {
		if !slices.Contains(d.sent[name], version) {
			s.rules.violated(t.url, "initial_resource_versions have %q in version %q, which was never sent", name, version)
		}
	}
	for name := range d.held {
		if _, there := q.GetInitialResourceVersions()[name]; !there && t.wants(name) && !s.rules.reasking {
			s.rules.violated(t.url, "initial_resource_versions do not have %q, which was acknowledged", name)
		}
	}
}
