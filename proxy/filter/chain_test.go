package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// tracer notes what passes it, and may hold the response head or refuse a body.
type tracer struct {
	name  string
	log   *strings.Builder
	holds bool
	reply *Reply
}

func (f *tracer) Open(*Opening, Stream) Stream { return f }
func (f *tracer) RequestHead(*message.Request) *Reply {
	f.log.WriteString(f.name + ">head ")
	return f.reply
}
func (f *tracer) Close() {}
func (f *tracer) ResponseHead(*message.Response) bool {
	f.log.WriteString(f.name + "<head ")
	return f.holds
}
func (f *tracer) RequestBody(data []byte, _ bool) ([]byte, bool) {
	return append(data, f.name...), string(data) != "bad"
}
func (f *tracer) ResponseBody(data []byte) []byte {
	return append(data[:len(data):len(data)], f.name...)
}
func (f *tracer) ResponseEnd(_ *message.Response, trailers *message.Fields) ([]byte, *message.Fields) {
	f.log.WriteString(f.name + "<end ")
	return []byte("." + f.name), trailers
}

func open(filters ...*tracer) (*Chain, *strings.Builder) {
	log := new(strings.Builder)
	var list []*Entry
	for _, f := range filters {
		f.log = log
		list = append(list, &Entry{Filter: f, Name: f.name})
	}
	c := new(Chain)
	c.Open(list, nil, &Opening{Request: &message.Request{}}, make([]*stats.Block, len(list)))
	return c, log
}

func TestChainOrder(t *testing.T) {
	c, log := open(&tracer{name: "a"}, &tracer{name: "b"})
	if got, ok := c.RequestBody([]byte("x"), true); string(got) != "xab" || !ok {
		t.Errorf("request body %q, %v", got, ok)
	}
	if _, ok := c.RequestBody([]byte("bad"), true); ok {
		t.Error("a body was taken that a filter refuses")
	}
	if c.ResponseHead(&message.Response{}) {
		t.Error("the head is held")
	}
	if got := string(c.ResponseBody([]byte("y"))); got != "yba" {
		t.Errorf("response body %q", got)
	}
	trailers := new(message.Fields)
	last, rest := c.ResponseEnd(&message.Response{}, trailers)
	if string(last) != ".ba.a" || rest != trailers {
		t.Errorf("end %q, trailers %v", last, rest)
	}
	if want := "a>head b>head b<head a<head b<end a<end "; log.String() != want {
		t.Errorf("order %q, want %q", log, want)
	}
	c.Close()
	if !c.Empty() {
		t.Error("a closed chain has filters")
	}
}

// TestChainHold holds that filters before the one that holds the head see it when that is done with it, and no body before.
func TestChainHold(t *testing.T) {
	c, log := open(&tracer{name: "a"}, &tracer{name: "b", holds: true}, &tracer{name: "c"})
	if !c.ResponseHead(&message.Response{}) {
		t.Error("the head is not held")
	}
	if got := c.ResponseBody([]byte("y")); len(got) != 0 {
		t.Errorf("body %q before the head", got)
	}
	if last, _ := c.ResponseEnd(&message.Response{}, nil); string(last) != ".cb.ba.a" {
		t.Errorf("end %q", last)
	}
	if want := "a>head b>head c>head c<head b<head c<end b<end a<head a<end "; log.String() != want {
		t.Errorf("order %q, want %q", log, want)
	}
}

// reuser returns all its bytes in one buffer, as a Stream may.
type reuser struct {
	tracer
	out []byte
}

func (f *reuser) Open(*Opening, Stream) Stream { return f }
func (f *reuser) ResponseBody(data []byte) []byte {
	f.out = append(append(f.out[:0], data...), f.name...)
	return f.out
}
func (f *reuser) ResponseEnd(_ *message.Response, trailers *message.Fields) ([]byte, *message.Fields) {
	f.out = append(f.out[:0], "."+f.name...)
	return f.out, trailers
}

// TestChainKeepsWhatFiltersReuse holds that what one call of a filter returned is not lost to its next.
func TestChainKeepsWhatFiltersReuse(t *testing.T) {
	var list []*Entry
	for _, name := range []string{"a", "b", "c"} {
		list = append(list, &Entry{Filter: &reuser{tracer: tracer{name: name, log: new(strings.Builder)}}})
	}
	c := new(Chain)
	c.Open(list, nil, &Opening{Request: &message.Request{}}, make([]*stats.Block, len(list)))
	if last, _ := c.ResponseEnd(&message.Response{}, nil); string(last) != ".cb.ba.a" {
		t.Errorf("end %q", last)
	}
}

// TestChainReply holds that no filter after the one that answers sees the request, and those before it see the answer.
func TestChainReply(t *testing.T) {
	log := new(strings.Builder)
	reply := &Reply{Status: 418}
	list := []*Entry{
		{Filter: &tracer{name: "a", log: log}}, {Filter: &tracer{name: "b", log: log, reply: reply}}, {Filter: &tracer{name: "c", log: log}},
	}
	c := new(Chain)
	if got := c.Open(list, nil, &Opening{Request: &message.Request{}}, make([]*stats.Block, 3)); got != reply {
		t.Errorf("got %v, want the reply of b", got)
	}
	c.ResponseHead(&message.Response{})
	if want := "a>head b>head b<head a<head "; log.String() != want {
		t.Errorf("order %q, want %q", log, want)
	}
}

// asked notes what it was opened with.
type asked struct {
	tracer
	configs []any
	kept    []Stream
}

func (f *asked) Open(o *Opening, kept Stream) Stream {
	f.configs, f.kept = o.Configs, append(f.kept, kept)
	return f
}

// TestChainOfRoute holds which filters a route turns on and off, and that they get what it says to them.
func TestChainOfRoute(t *testing.T) {
	rc := &config.RouteConfiguration{
		Filters: config.FilterConfigs{"a": {Config: 1}, "b": {Disabled: true}, "c": {}},
		VirtualHosts: []*config.VirtualHost{{
			Name: "v", Domains: []string{"*"}, Filters: config.FilterConfigs{"a": {Config: 2}, "b": {Config: 3}},
			Routes: []*config.Route{{
				Name: "r", Match: config.RouteMatch{Path: "/", Fraction: config.RuntimeFraction{Default: config.FractionAll}},
				Direct: &config.DirectResponse{Status: 200}, Filters: config.FilterConfigs{"a": {Config: 4}, "d": {Disabled: true}},
			}},
		}},
	}
	table, err := route.Compile(rc, route.Options{CompileFilter: func(c any, _ func(config.RuntimeFraction) uint32) (any, error) { return c, nil }})
	if err != nil {
		t.Fatal(err)
	}
	r, count := table.Routes()[0], make([]*stats.Block, 1)
	for name, test := range map[string]struct {
		disabled bool
		with     string // the configurations, "off" for none at all
		without  string // a route
	}{
		"a": {false, "[4 2 1]", "[]"},
		"b": {true, "[3]", "off"},
		"c": {true, "[]", "off"},
		"d": {false, "off", "[]"},
		"e": {true, "off", "off"},
		"f": {false, "[]", "[]"},
	} {
		for _, of := range []struct {
			route *route.Route
			want  string
		}{{r, test.with}, {nil, test.without}} {
			f := &asked{tracer: tracer{log: new(strings.Builder)}}
			c := new(Chain)
			for range 2 {
				c.Open([]*Entry{{Filter: f, Name: name, Disabled: test.disabled}}, of.route, &Opening{Request: &message.Request{}}, count)
				c.Close()
			}
			got := "off"
			if len(f.kept) > 0 {
				got = fmt.Sprint(f.configs)
				if len(f.kept) != 2 || f.kept[0] != nil || f.kept[1] != f {
					t.Errorf("%s: was given %v to use again", name, f.kept)
				}
			}
			if got != of.want {
				t.Errorf("%s: got %s, want %s", name, got, of.want)
			}
		}
	}
}

func TestNew(t *testing.T) {
	f, err := New(&config.HTTPFilter{Name: "w", Config: config.GRPCWeb{}, Disabled: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Open(&Opening{Request: &message.Request{}}, nil) != nil || f.Name != "w" || !f.Disabled {
		t.Errorf("got %+v, which is at work on a request of something else", f)
	}
	if _, err := New(&config.HTTPFilter{Name: "w", Config: 1}, Options{}); err == nil || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("error %v, want one that names the filter", err)
	}
	if _, err := CompileConfig(1, nil); err == nil {
		t.Error("a configuration that no filter takes was compiled")
	}
}
