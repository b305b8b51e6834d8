package management

import (
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const eds = resource.AssignmentType

var (
	someNode = &corev3.Node{Id: "n"}
	fault    = &statuspb.Status{Code: 13, Message: "cluster x: bad"}
)

// play is one side of a conversation: requests, and responses in between.
type play struct {
	stream   *streamRules
	rules    *Rules
	breaches []string
}

func newPlay(incremental bool) *play {
	p := &play{rules: &Rules{}}
	p.rules.Report = func(breach string) { p.breaches = append(p.breaches, breach) }
	p.stream = p.rules.stream(incremental)
	return p
}

func (p *play) asks(q Request) {
	if q.TypeURL == "" {
		q.TypeURL = eds
	}
	if q.Node == nil {
		q.Node = someNode
	}
	p.stream.receives(&q)
}

func (p *play) answers(nonce, version string, names ...string) {
	r := &Response{TypeURL: eds, Nonce: nonce, Version: version}
	for _, name := range names {
		r.Resources = append(r.Resources, Resource{Name: name, version: version})
	}
	p.stream.sends(r)
}

func (p *play) reconnects() {
	p.rules.streamEnded(eds)
	p.stream = p.rules.stream(p.stream.incremental)
}

// TestRulesOfTheWorld has one good conversation and, for each rule, one that breaks it at its end.
func TestRulesOfTheWorld(t *testing.T) {
	names := []string{"a"}
	begin := func(p *play) {
		p.asks(Request{Names: names})
		p.answers("1", "v1", "a")
	}
	accepted := func(p *play) {
		begin(p)
		p.asks(Request{Names: names, Nonce: "1", Version: "v1"})
	}
	for _, test := range []struct {
		name, breach string
		script       func(*play)
	}{
		{"accepted, refused, more names, another stream", "", func(p *play) {
			accepted(p)
			p.answers("2", "v2", "a")
			p.asks(Request{Names: names, Nonce: "2", Version: "v1", Refusal: fault})
			p.asks(Request{Names: []string{"a", "b"}, Nonce: "2", Version: "v1"})
			p.reconnects()
			p.asks(Request{Names: names, Version: "v1"})
		}},
		{"names change while a response is on its way", "", func(p *play) {
			accepted(p)
			p.answers("2", "v2", "a")
			p.asks(Request{Names: []string{"b"}, Nonce: "1", Version: "v1"})
			p.asks(Request{Names: []string{"b"}, Nonce: "2", Version: "v2"})
		}},
		{"an answer is lost with the stream", "", func(p *play) {
			accepted(p)
			p.answers("2", "v2", "a")
			p.reconnects()
			p.asks(Request{Names: names, Version: "v2"})
		}},
		{"nothing is wanted any more", "", func(p *play) {
			begin(p)
			p.asks(Request{Nonce: "1"})
		}},
		{"a nonce at the beginning", "the first request has nonce", func(p *play) { p.asks(Request{Names: names, Nonce: "0"}) }},
		{"a version at the beginning", `version "v9", want ""`, func(p *play) { p.asks(Request{Names: names, Version: "v9"}) }},
		{"a version forgotten", `version "", want "v1"`, func(p *play) {
			accepted(p)
			p.reconnects()
			p.asks(Request{Names: names})
		}},
		{"a wrong version acknowledged", `version "v0" is acknowledged`, func(p *play) {
			begin(p)
			p.asks(Request{Names: names, Nonce: "1", Version: "v0"})
		}},
		{"refused with the new version", `version "v1", want ""`, func(p *play) {
			begin(p)
			p.asks(Request{Names: names, Nonce: "1", Version: "v1", Refusal: fault})
		}},
		{"refused without a text", "error detail has code 13", func(p *play) {
			begin(p)
			p.asks(Request{Names: names, Nonce: "1", Refusal: &statuspb.Status{Code: 13}})
		}},
		{"refused twice", "in a request that answers nothing", func(p *play) {
			begin(p)
			p.asks(Request{Names: names, Nonce: "1", Refusal: fault})
			p.asks(Request{Names: []string{"b"}, Nonce: "1", Refusal: fault})
		}},
		{"a stranger's nonce", "was never sent", func(p *play) {
			accepted(p)
			p.asks(Request{Names: []string{"b"}, Nonce: "7", Version: "v1"})
		}},
		{"the same request again", "without a reason", func(p *play) {
			accepted(p)
			p.asks(Request{Names: names, Nonce: "1", Version: "v1"})
		}},
		{"one response skipped", `and "1" before it is not`, func(p *play) {
			begin(p)
			p.answers("2", "v2", "a")
			p.asks(Request{Names: names, Nonce: "2", Version: "v2"})
		}},
		{"a name twice", "a name is given twice", func(p *play) { p.asks(Request{Names: []string{"a", "a"}}) }},
		{"the node too often", "node present true, want false", func(p *play) {
			p.rules.NodeOnFirstMessageOnly = true
			accepted(p)
		}},
	} {
		t.Run(test.name, func(t *testing.T) { run(t, false, test.breach, test.script) })
	}
}

// TestRulesOfChanges is TestRulesOfTheWorld for the incremental variant.
func TestRulesOfChanges(t *testing.T) {
	begin := func(p *play) {
		p.asks(Request{Subscribe: []string{"a"}})
		p.answers("1", "v1", "a")
	}
	accepted := func(p *play) {
		begin(p)
		p.asks(Request{Nonce: "1"})
	}
	held := map[string]string{"a": "v1"}
	for _, test := range []struct {
		name, breach string
		script       func(*play)
	}{
		{"accepted, changed, refused, another stream", "", func(p *play) {
			accepted(p)
			p.asks(Request{Subscribe: []string{"b"}})
			p.answers("2", "v2", "b")
			p.asks(Request{Nonce: "2", Refusal: fault})
			p.asks(Request{Unsubscribe: []string{"b"}})
			p.reconnects()
			p.asks(Request{Subscribe: []string{"a"}, Held: held})
		}},
		{"a name is given up and wanted again", "", func(p *play) {
			accepted(p)
			p.asks(Request{Unsubscribe: []string{"a"}, Subscribe: []string{"a"}})
		}},
		{"versions forgotten", "initial_resource_versions has 0 resources, want 1", func(p *play) {
			accepted(p)
			p.reconnects()
			p.asks(Request{Subscribe: []string{"a"}})
		}},
		{"versions invented", "which was never sent", func(p *play) {
			p.asks(Request{Subscribe: []string{"a"}, Held: held})
		}},
		{"versions of what was given up", "initial_resource_versions has 1 resources, want 0", func(p *play) {
			accepted(p)
			p.asks(Request{Unsubscribe: []string{"a"}})
			p.reconnects()
			p.asks(Request{Subscribe: []string{"b"}, Held: held})
		}},
		{"versions again", "not the first of its type", func(p *play) {
			accepted(p)
			p.asks(Request{Subscribe: []string{"b"}, Held: held})
		}},
		{"answered twice", "is answered twice", func(p *play) {
			accepted(p)
			p.asks(Request{Nonce: "1", Subscribe: []string{"b"}})
		}},
		{"nothing said", "says nothing", func(p *play) {
			accepted(p)
			p.asks(Request{})
		}},
		{"subscribed twice", "subscribed to again", func(p *play) {
			accepted(p)
			p.asks(Request{Subscribe: []string{"a"}})
		}},
		{"a stranger given up", "was not subscribed to", func(p *play) {
			accepted(p)
			p.asks(Request{Unsubscribe: []string{"x"}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) { run(t, true, test.breach, test.script) })
	}
}

// run plays a script and wants a breach with a text, or none.
func run(t *testing.T, incremental bool, breach string, script func(*play)) {
	t.Helper()
	p := newPlay(incremental)
	script(p)
	switch {
	case breach == "" && len(p.breaches) > 0:
		t.Errorf("reported: %q, want nothing", p.breaches)
	case breach != "" && !strings.Contains(strings.Join(p.breaches, "\n"), breach):
		t.Errorf("reported: %q, want a breach with %q", p.breaches, breach)
	}
}
