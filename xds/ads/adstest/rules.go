package adstest

import (
	"fmt"
	"slices"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// rules hold a client to the conversation as https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol describes it,
// whatever a test looks at itself: they see every request and every response of a server, in order. What they find is told when the
// test ends.
//
// They suppose one client, or several that ask for different types or by different methods.
type rules struct {
	mu     sync.Mutex // guards all below, and what the streams' rules have
	found  []string
	worlds map[string]*world // by method and type, of all streams
	deltas map[string]*delta

	// reasking allows that names are subscribed to which the server was told of.
	reasking bool
}

func newRules() *rules {
	return &rules{worlds: make(map[string]*world), deltas: make(map[string]*delta)}
}

// violated notes a breach. The caller holds mu.
func (r *rules) violated(url, format string, args ...any) {
	r.found = append(r.found, fmt.Sprintf("%s: ", url)+fmt.Sprintf(format, args...))
}

// Reasking allows that a client of the incremental variant subscribes to names that the server knows to be wanted, as it does when it
// has given up what it had of them before it could say so, and that it does not have what it has acknowledged.
func (s *Server) Reasking() {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	s.rules.reasking = true
}

// turns are the responses of a type on one stream, and which of them are answered. Both variants have them.
type turns struct {
	url      string
	asked    bool
	nonces   []string // sent
	answered int      // how many of them
	// crossed are those that were sent before a request was seen: one may have been under way, and the client may answer them or not.
	crossed int
}

// sent notes that a response is sent.
func (t *turns) sent(nonce string) {
	t.nonces = append(t.nonces, nonce)
	if !t.asked {
		t.crossed = len(t.nonces)
	}
}

// answers notes which response a request with this nonce answers, -1 for none. last tells that it may name the last one that was
// answered, as those of the state of the world do.
func (t *turns) answers(r *rules, nonce string, last bool) int {
	lastNonce := ""
	if t.answered > 0 && last {
		lastNonce = t.nonces[t.answered-1]
	}
	i := slices.Index(t.nonces, nonce)
	switch {
	case !t.asked && nonce != "":
		r.violated(t.url, "the first request of a stream has the nonce %q, want none", nonce)
		return -1
	case nonce == lastNonce:
		return -1
	case i < 0 && nonce == "":
		r.violated(t.url, "a request has no nonce, want that of the last response, %q", lastNonce)
		return -1
	case i < 0:
		r.violated(t.url, "the nonce %q was never sent", nonce)
		return -1
	case i < t.answered:
		r.violated(t.url, "the response %q is answered again, or after a later one", nonce)
		return -1
	}
	if skipped := max(t.answered, t.crossed); i > skipped {
		r.violated(t.url, "the response %q is not answered, but a later one is, %q", t.nonces[skipped], nonce)
	}
	t.answered = i + 1
	return i
}

// refusal checks the error detail of a NACK.
func (r *rules) refusal(url string, detail *statuspb.Status) {
	if detail.GetCode() != int32(codes.Internal) || detail.GetMessage() == "" {
		r.violated(url, "error_detail %v, want code %d and a message", detail, int32(codes.Internal))
	}
}

// nodes are the rule of the node on one stream: it is in the first request, and then in all or in none.
type nodes struct{ requests, with int }

func (n *nodes) request(r *rules, url string, node *corev3.Node) {
	n.requests++
	if node.GetId() != "" {
		n.with++
	}
	if n.with == 0 || (n.with > 1 && n.with < n.requests) {
		r.violated(url, "%d of %d requests of a stream have the node, want the first or all", n.with, n.requests)
	}
}

// world is what is known of a type in the state of the world from all streams.
type world struct {
	accepted string
	// pending are the versions that were sent and not answered before a stream ended: they may have been accepted.
	pending []string
}

// worldStream is the state of one stream.
type worldStream struct {
	rules  *rules
	method string
	nodes  nodes
	types  map[string]*worldTurns
}

type worldTurns struct {
	turns
	versions []string // of the responses
	names    []string // of the last request
	wanted   bool     // any name, ever
}

func (s *worldStream) of(url string) *worldTurns {
	t := s.types[url]
	if t == nil {
		t = &worldTurns{turns: turns{url: url}}
		s.types[url] = t
	}
	return t
}

func (s *worldStream) world(url string) *world {
	key := s.method + " " + url
	w := s.rules.worlds[key]
	if w == nil {
		w = &world{}
		s.rules.worlds[key] = w
	}
	return w
}

func (s *worldStream) response(url, version, nonce string) {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	t := s.of(url)
	t.sent(nonce)
	t.versions = append(t.versions, version)
}

func (s *worldStream) request(q *discoveryv3.DiscoveryRequest) {
	r := s.rules
	r.mu.Lock()
	defer r.mu.Unlock()
	url := q.GetTypeUrl()
	t, w := s.of(url), s.world(url)
	s.nodes.request(r, url, q.GetNode())
	names := slices.Sorted(slices.Values(q.GetResourceNames()))
	if len(slices.Compact(slices.Clone(names))) < len(names) {
		r.violated(url, "resource_names %q have one twice", names)
	}
	i := t.answers(r, q.GetResponseNonce(), true)
	switch {
	case i >= 0:
		s.answer(q, t, w, i)
	case !t.asked:
		s.first(q, w)
	default:
		if slices.Equal(names, t.names) {
			r.violated(url, "a request says nothing new: names %q, nonce %q", names, q.GetResponseNonce())
		}
		if q.GetErrorDetail() != nil {
			r.violated(url, "an error is told that answers nothing: %v", q.GetErrorDetail())
		}
		s.kept(q, w)
	}
	t.asked, t.names, t.wanted = true, names, t.wanted || len(names) > 0
}

// first checks the first request of a stream: it has the version that was accepted last.
func (s *worldStream) first(q *discoveryv3.DiscoveryRequest, w *world) {
	if slices.Contains(w.pending, q.GetVersionInfo()) {
		w.accepted = q.GetVersionInfo()
	}
	w.pending = nil
	s.kept(q, w)
}

func (s *worldStream) kept(q *discoveryv3.DiscoveryRequest, w *world) {
	if q.GetVersionInfo() != w.accepted {
		s.rules.violated(q.GetTypeUrl(), "version %q, want the one that was accepted last, %q", q.GetVersionInfo(), w.accepted)
	}
}

// answer checks the answer to the response i.
func (s *worldStream) answer(q *discoveryv3.DiscoveryRequest, t *worldTurns, w *world, i int) {
	switch {
	case q.GetErrorDetail() != nil:
		s.rules.refusal(t.url, q.GetErrorDetail())
		s.kept(q, w)
	case q.GetVersionInfo() == w.accepted && t.wanted && len(q.GetResourceNames()) == 0:
		// Nothing is wanted any more, and what comes all the same is not taken.
	case q.GetVersionInfo() != t.versions[i]:
		s.rules.violated(t.url, "version %q in an acknowledgement, want that of the response, %q", q.GetVersionInfo(), t.versions[i])
	default:
		w.accepted = q.GetVersionInfo()
	}
}

// ended remembers what the client may have accepted without saying so.
func (s *worldStream) ended() {
	s.rules.mu.Lock()
	defer s.rules.mu.Unlock()
	for url, t := range s.types {
		w := s.world(url)
		w.pending = append(w.pending, t.versions[t.answered:]...)
	}
}
