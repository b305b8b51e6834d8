package admin

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/layeredruntime"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// testRuntime returns a runtime of a static layer, others, and one for operators.
func testRuntime(layers ...config.RuntimeLayer) *layeredruntime.Loader {
	all := []config.RuntimeLayer{{Name: "base", Static: map[string]string{"a.b": "1", "share": `{"numerator":5}`}}}
	loader, err := layeredruntime.New(append(all, layers...), layeredruntime.Options{
		Stats: stats.NewStore(stats.Options{}), Logger: zap.NewNop(), Publish: func(*config.Runtime) error { return nil },
	})
	if err != nil {
		panic(err)
	}
	return loader
}

func TestRuntime(t *testing.T) {
	f := newFixture()
	f.options.Runtime = testRuntime(config.RuntimeLayer{Name: "admin", Admin: true})
	p := f.admin(t)
	p.do("POST", "/runtime_modify?a.b=2&new=x%20y").want(t, 200, "OK\n")
	p.get("/runtime").want(t, 200, `{
 "layers": [
  "base",
  "admin"
 ],
 "entries": {
  "a.b": {
   "layer_values": [
    "1",
    "2"
   ],
   "final_value": "2"
  },
  "new": {
   "layer_values": [
    "",
    "x y"
   ],
   "final_value": "x y"
  },
  "share": {
   "layer_values": [
    "{\"numerator\":5}",
    ""
   ],
   "final_value": "{\"numerator\":5}"
  }
 }
}
`)
	p.send("POST /runtime_modify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\na.b=&new=z").
		want(t, 200, "OK\n")
	if got := p.get("/runtime").body; !strings.Contains(got, `"final_value": "1"`) || !strings.Contains(got, `"final_value": "z"`) {
		t.Errorf("after an override was removed and another set: %s", got)
	}
	p.do("POST", "/runtime_modify").want(t, 400, runtimeModifyUsage)
	p.do("GET", "/runtime_modify?a=1").want(t, 405, "Method GET not allowed, POST required.")
	p.do("POST", "/runtime_modify?a="+strings.Repeat("x", 5000)).want(t, 400, "key and value may be 4096 bytes long each: \"a\" has 1 and 5000\n")
}

func TestRuntimeModifyWithoutAdminLayer(t *testing.T) {
	f := newFixture()
	f.admin(t).do("POST", "/runtime_modify?a.b=2").want(t, 503, "No admin layer specified")
}

func TestEmptyRuntime(t *testing.T) {
	f := newFixture()
	f.options.Runtime = testRuntime()
	if err := f.options.Runtime.Merge(nil); err == nil {
		t.Error("a runtime without an admin layer was changed")
	}
	dump := dumpRuntime(nil)
	if dump.Layers == nil || dump.Entries == nil {
		t.Error("lists are shown as null")
	}
}
