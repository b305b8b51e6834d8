package filter

import (
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// tracer notes what passes it, and may hold the response head or refuse a body.
type tracer struct {
	name  string
	log   *strings.Builder
	holds bool
}

func (f *tracer) Open(*message.Request) Stream { return f }
func (f *tracer) RequestHead(*message.Request) { f.log.WriteString(f.name + ">head ") }
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
	var list []Filter
	for _, f := range filters {
		f.log = log
		list = append(list, f)
	}
	c := new(Chain)
	c.Open(list, &message.Request{})
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

func (f *reuser) Open(*message.Request) Stream { return f }
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
	var list []Filter
	for _, name := range []string{"a", "b", "c"} {
		list = append(list, &reuser{tracer: tracer{name: name, log: new(strings.Builder)}})
	}
	c := new(Chain)
	c.Open(list, &message.Request{})
	if last, _ := c.ResponseEnd(&message.Response{}, nil); string(last) != ".cb.ba.a" {
		t.Errorf("end %q", last)
	}
}

func TestNew(t *testing.T) {
	f, err := New(&config.HTTPFilter{Name: "w", Config: config.GRPCWeb{}})
	if err != nil {
		t.Fatal(err)
	}
	if f.Open(&message.Request{}) != nil {
		t.Error("gRPC-Web is at work on a request of something else")
	}
	if _, err := New(&config.HTTPFilter{Name: "w", Config: 1}); err == nil || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("error %v, want one that names the filter", err)
	}
}
