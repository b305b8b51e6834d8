package xds_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/xds"
	"github.com/penguintechinc/marchproxy-alb/xds/bootstrap"
	"github.com/penguintechinc/marchproxy-alb/xds/resource"
)

const runtimeURL = resource.RuntimeType

func runtimeOf(name string, values map[string]any) *runtimev3.Runtime {
	layer, err := structpb.NewStruct(values)
	if err != nil {
		panic(err)
	}
	return &runtimev3.Runtime{Name: name, Layer: layer}
}

// layered gives the bootstrap two layers that come over RTDS, and has the proxy keep what they say in got.
func layered(got map[string]map[string]string) func(*proxy) {
	return func(p *proxy) {
		for _, name := range []string{"a", "b"} {
			p.boot.Runtime = append(p.boot.Runtime, config.RuntimeLayer{
				Name: "layer-" + name, RTDS: &config.RuntimeRTDS{Name: name, Discovery: config.Discovery{FetchTimeout: fetchTimeout}},
			})
		}
		p.boot.Runtime = append(p.boot.Runtime, config.RuntimeLayer{Name: "static", Static: map[string]string{}})
		p.runtime = func(name string, texts map[string]string) error {
			if texts["refuse"] != "" {
				return errors.New("no")
			}
			if got[name] = texts; texts == nil {
				delete(got, name)
			}
			return nil
		}
	}
}

// TestRuntimeComesFirst holds that clusters are asked for when the layers of the runtime are there, and that changes of them
// are taken whenever they come.
func TestRuntimeComesFirst(t *testing.T) {
	got := make(map[string]map[string]string)
	run(t, layered(got), func(p *proxy) {
		s := p.server.Accept()
		s.Expect("runtime first", request(runtimeURL, "", "", "a", "b"))
		synctest.Wait()
		s.Silent("before the runtime")
		if w := p.State().Waiting; !strings.HasPrefix(w, "waiting for the control plane at 127.0.0.1:18000: connected, no answer yet for runtime ") {
			t.Errorf("waiting: %q", w)
		}
		n := s.Send(runtimeURL, "1", runtimeOf("a", map[string]any{"x": map[string]any{"y": 1}}))
		s.Expect("runtime", request(runtimeURL, "1", n, "a", "b"))
		n = s.Send(runtimeURL, "2", runtimeOf("b", map[string]any{"z": "on"}))
		s.Expect("clusters after it", request(clusterURL, "", ""))
		s.Expect("runtime", request(runtimeURL, "2", n, "a", "b"))
		if !maps.Equal(got["a"], map[string]string{"x.y": "1"}) || !maps.Equal(got["b"], map[string]string{"z": "on"}) {
			t.Errorf("runtime is %v", got)
		}
		n = s.Send(runtimeURL, "3", runtimeOf("a", map[string]any{"x.y": 2}))
		s.Expect("runtime", request(runtimeURL, "3", n, "a", "b"))
		if got["a"]["x.y"] != "2" {
			t.Errorf("runtime is %v", got)
		}
		for i, bad := range []map[string]any{{"refuse": true}, {"list": []any{1}}} {
			n = s.Send(runtimeURL, fmt.Sprint("bad", i), runtimeOf("a", bad))
			why := s.Expect("refusal", refusal(runtimeURL, "3", n, "", "a", "b")).GetErrorDetail().GetMessage()
			if !strings.HasPrefix(why, "Error updating runtime(s) a: ") {
				t.Errorf("refused because %q", why)
			}
		}
		if got["a"]["x.y"] != "2" {
			t.Errorf("runtime is %v", got)
		}
	})
}

func TestRuntimeIsRemoved(t *testing.T) {
	got := make(map[string]map[string]string)
	change := func(p *proxy) {
		layered(got)(p)
		incremental(p)
	}
	run(t, change, func(p *proxy) {
		s := p.server.AcceptDelta()
		s.Expect("runtime first", delta(runtimeURL, "", "a", "b"))
		n := s.Send(runtimeURL, "1", []string{"b"}, changed("a", runtimeOf("a", map[string]any{"x": 1})))
		s.Expect("what is not there is not waited for", delta(clusterURL, ""))
		s.Expect("runtime", delta(runtimeURL, n))
		n = s.Send(runtimeURL, "2", []string{"a"})
		s.Expect("runtime", delta(runtimeURL, n))
		if len(got) != 0 {
			t.Errorf("runtime is %v", got)
		}
		n = s.Send(runtimeURL, "3", nil, changed("a", runtimeOf("a", map[string]any{"x": 1})))
		s.Expect("runtime", delta(runtimeURL, n))
		if got["a"]["x"] != "1" {
			t.Errorf("runtime is %v", got)
		}
	})
}

func TestRuntimeIsLate(t *testing.T) {
	got := make(map[string]map[string]string)
	run(t, layered(got), func(p *proxy) {
		s := p.server.Accept()
		s.Next()
		time.Sleep(fetchTimeout - time.Nanosecond)
		synctest.Wait()
		s.Silent("still in time")
		time.Sleep(time.Nanosecond)
		s.Expect("clusters all the same", request(clusterURL, "", ""))
		if p.stat("runtime.init_fetch_timeout") != 2 {
			t.Errorf("%d timeouts", p.stat("runtime.init_fetch_timeout"))
		}
		s.Send(runtimeURL, "1", runtimeOf("a", map[string]any{"x": 1}))
		s.Next()
		if got["a"]["x"] != "1" {
			t.Errorf("runtime is %v", got)
		}
	})
}

func TestRuntimeThatNobodyTakes(t *testing.T) {
	boot := &bootstrap.Bootstrap{Runtime: []config.RuntimeLayer{{Name: "a", RTDS: &config.RuntimeRTDS{Name: "r"}}}}
	target(boot)
	store := config.NewStore(func(_, _ *config.Snapshot, _ *config.Delta) error { return nil })
	if _, err := xds.New(xds.Options{Bootstrap: boot, Store: store, Logger: zap.NewNop()}); err == nil {
		t.Error("accepted")
	}
}
