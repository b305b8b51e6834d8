package management

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
)

// Rules hold one client to the rules of the conversation, over all its streams, with whatever servers. They are told what is
// sent before it is, and of what is received.
type Rules struct {
	// Report is told every breach.
	Report func(breach string)
	// NodeOnFirstMessageOnly is what the client was configured with.
	NodeOnFirstMessageOnly bool

	mu    sync.Mutex // guards what follows
	types map[string]*typeRules
}

// typeRules is what is known of the conversation about one type.
type typeRules struct {
	accepted string            // version, of the state of the world
	perhaps  []string          // versions whose answers may have been lost
	held     map[string]string // versions by name, of the incremental variant
	sent     map[string]bool   // every name and version that was ever sent, of the incremental variant
	// unsure tells that a response was refused, of which the client may have taken parts: held is not known to be all.
	unsure bool

	// Of the open stream.
	asked      bool
	names      map[string]bool // subscribed to
	nonces     map[string]bool // sent
	unanswered []*Response
}

// streamRules are the rules of one stream.
type streamRules struct {
	*Rules
	incremental bool
	spoken      bool // a request came
}

// streamEnded forgets what belonged to a stream on which a type was asked for.
func (r *Rules) streamEnded(url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(url).streamEnded()
}

// of returns what is known of a type. The caller holds the mutex.
func (r *Rules) of(url string) *typeRules {
	if r.types == nil {
		r.types = make(map[string]*typeRules)
	}
	k := r.types[url]
	if k == nil {
		k = &typeRules{held: make(map[string]string), sent: make(map[string]bool)}
		r.types[url] = k
		k.streamEnded()
	}
	return k
}

// streamEnded forgets what belonged to the stream. An answer may have been lost with it.
func (k *typeRules) streamEnded() {
	for _, response := range k.unanswered {
		k.unsure = true
		k.perhaps = append(k.perhaps, response.Version)
	}
	k.asked, k.unanswered = false, nil
	k.names, k.nonces = make(map[string]bool), make(map[string]bool)
}

func (r *Rules) stream(incremental bool) *streamRules {
	return &streamRules{Rules: r, incremental: incremental}
}

// sends notes a response that is about to be sent.
func (r *streamRules) sends(response *Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.of(response.TypeURL)
	k.nonces[response.Nonce] = true
	k.unanswered = append(k.unanswered, response)
	for i := range response.Resources {
		k.sent[response.Resources[i].Name+"\x00"+response.Resources[i].version] = true
	}
}

// receives checks a request, and returns the response that it answers, nil when it answers none.
func (r *streamRules) receives(q *Request) *Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.of(q.TypeURL)
	report := func(format string, args ...any) {
		r.Report(fmt.Sprintf("%s: ", q.TypeURL) + fmt.Sprintf(format, args...))
	}
	if has, want := q.Node != nil, !r.NodeOnFirstMessageOnly || !r.spoken; has != want {
		report("node present %v, want %v", has, want)
	}
	r.spoken = true
	answered := k.answered(q, report)
	if r.incremental {
		k.receivesDelta(q, answered, report)
	} else {
		k.receivesWorld(q, answered, report)
	}
	k.asked = true
	return answered
}

// answered takes the response that q answers off the list.
func (k *typeRules) answered(q *Request, report func(string, ...any)) *Response {
	for i, response := range k.unanswered {
		if response.Nonce != q.Nonce {
			continue
		}
		if i > 0 {
			report("nonce %q is answered, and %q before it is not", q.Nonce, k.unanswered[0].Nonce)
		}
		k.unanswered = slices.Delete(slices.Clone(k.unanswered), 0, i+1)
		if d := q.Refusal; d != nil && (d.GetCode() != int32(codes.Internal) || d.GetMessage() == "") {
			report("error detail has code %d and text %q, want 13 and one", d.GetCode(), d.GetMessage())
		}
		return response
	}
	if q.Refusal != nil {
		report("error detail %q in a request that answers nothing", q.Refusal.GetMessage())
	}
	if q.Nonce != "" && !k.nonces[q.Nonce] {
		report("nonce %q was never sent on this stream", q.Nonce)
	}
	return nil
}

// receivesWorld checks a request of the state of the world.
func (k *typeRules) receivesWorld(q *Request, answered *Response, report func(string, ...any)) {
	names := make(map[string]bool, len(q.Names))
	for _, name := range q.Names {
		names[name] = true
	}
	if len(names) != len(q.Names) {
		report("a name is given twice among %q", q.Names)
	}
	if !k.asked && slices.Contains(k.perhaps, q.Version) {
		k.accepted = q.Version
	}
	switch {
	case answered == nil || q.Refusal != nil:
		if q.Version != k.accepted {
			report("version %q, want %q, accepted last", q.Version, k.accepted)
		}
	case q.Version == answered.Version:
		k.accepted = q.Version
	case len(names) == 0 && !wildcard[q.TypeURL] && q.Version == k.accepted: // nothing of the response is wanted any more
	default:
		report("version %q is acknowledged, want %q", q.Version, answered.Version)
	}
	switch {
	case !k.asked && q.Nonce != "":
		report("the first request has nonce %q", q.Nonce)
	case k.asked && answered == nil && maps.Equal(names, k.names):
		report("a request for %d names again, without a reason", len(names))
	}
	k.names = names
}

// receivesDelta checks a request of the incremental variant.
func (k *typeRules) receivesDelta(q *Request, answered *Response, report func(string, ...any)) {
	switch {
	case answered == nil && q.Nonce != "":
		report("nonce %q is answered twice", q.Nonce)
	case k.asked && answered == nil && len(q.Subscribe)+len(q.Unsubscribe) == 0:
		report("a request that says nothing")
	case k.asked && len(q.Held) > 0:
		report("initial_resource_versions in a request that is not the first of its type")
	case !k.asked:
		k.checkHeld(q.Held, report)
	}
	for _, name := range q.Unsubscribe {
		if !k.names[name] {
			report("%q is unsubscribed from and was not subscribed to", name)
		}
		delete(k.names, name)
		delete(k.held, name)
	}
	for _, name := range q.Subscribe {
		if k.names[name] {
			report("%q is subscribed to again", name)
		}
		k.names[name] = true
	}
	switch {
	case answered == nil:
	case q.Refusal != nil:
		k.unsure = true
	default:
		k.took(q.TypeURL, answered)
	}
}

// took notes what a client holds that has accepted a response.
func (k *typeRules) took(url string, answered *Response) {
	for i := range answered.Resources {
		if name := answered.Resources[i].Name; wildcard[url] || k.names[name] {
			k.held[name] = answered.Resources[i].version
		}
	}
	for _, name := range answered.Removed {
		delete(k.held, name)
	}
}

// checkHeld checks the versions that a stream begins with.
func (k *typeRules) checkHeld(held map[string]string, report func(string, ...any)) {
	for name, version := range held {
		if !k.sent[name+"\x00"+version] {
			report("initial_resource_versions has %q in version %q, which was never sent", name, version)
		}
	}
	if !k.unsure && !maps.Equal(held, k.held) {
		report("initial_resource_versions has %d resources, want %d: %v, want %v", len(held), len(k.held), held, k.held)
	}
}
