package managed

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/management"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
	"github.com/penguintechinc/marchproxy-alb/proxy"
)

// TestRandomSnapshots serves one random world after the other to a proxy with traffic, in both variants of the protocol.
// Whatever is wrong with parts of a world:
//
//   - requests on routes that are always there are all answered
//   - each response is accepted or refused as a model of the rules says, and what that says is in force
//   - each route leads to where the model says
func TestRandomSnapshots(t *testing.T) {
	for _, api := range []string{"GRPC", "DELTA_GRPC"} {
		t.Run(api, func(t *testing.T) {
			seed := *seed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("-managed.seed %d", seed)
			f := newSnapshots(t, api, seed)
			defer f.traffic.stop(t)
			for i := range count(50, 500) {
				f.serve(i)
				if t.Failed() {
					t.Fatalf("world %d, -managed.seed %d", i, seed)
				}
			}
			t.Logf("%d responses accepted, %d refused, %d requests, %d checked", f.accepted, f.refused, f.traffic.sent.Load(), f.checked)
			if f.refused == 0 || f.accepted == 0 || f.checked == 0 || f.traffic.sent.Load() == 0 {
				t.Error("one of these never happened")
			}
		})
	}
}

// snapshots is the state of TestRandomSnapshots.
type snapshots struct {
	t                          *testing.T
	incremental                bool
	server                     *management.Server
	proxy                      *harness.Proxy
	generator                  *generator
	model                      *model
	traffic                    *traffic
	client                     *http.Client
	accepted, refused, checked int
}

func newSnapshots(t *testing.T, api string, seed uint64) *snapshots {
	f := &snapshots{
		t: t, incremental: api == "DELTA_GRPC", server: management.New(t), model: newModel(),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Guard},
	}
	f.generator = &generator{t: t, r: rand.New(rand.NewPCG(seed, 0)), origins: make(map[string]netip.AddrPort)}
	for i := range 3 {
		body := fmt.Sprint("origin ", i)
		f.generator.origins[body] = answering(t, body)
		f.generator.bodies = append(f.generator.bodies, body)
	}
	main := netip.MustParseAddrPort(process.FreeAddress(t))
	f.generator.mainPort = main.Port()
	setup := &harness.Setup{Workers: 2, SystemClock: true, Quiet: true, Observe: func(*proxy.Outcome) {}}
	f.proxy = setup.StartBootstrap(t, f.server.Bootstrap(api))
	f.serve(-1)
	f.traffic = newTraffic(main, f.generator.bodies[0])
	return f
}

// answering starts an origin that answers every request with the body.
func answering(t *testing.T, body string) netip.AddrPort {
	o := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	t.Cleanup(o.Close)
	return netip.MustParseAddrPort(o.Listener.Addr().String())
}

// serve serves the next world and checks what comes of it.
func (f *snapshots) serve(i int) {
	f.t.Helper()
	w := f.generator.next()
	f.server.Set(w.resources()...)
	f.server.Settle()
	for _, a := range f.server.Answers() {
		want := f.model.takes(&a, w, f.incremental)
		if got := a.Refusal != ""; got != want {
			f.t.Errorf("world %d: the response with %s %v, without %v, is refused: %q, want %v", i, a.TypeURL, a.Names, a.Removed, a.Refusal, want)
		}
		if want {
			f.refused++
			f.names(&a, w)
		} else {
			f.accepted++
		}
	}
	static := func(name string) bool { return strings.HasPrefix(name, management.ClusterPrefix) }
	for _, difference := range f.model.differences(f.proxy.Server.Store().Current(), static) {
		f.t.Errorf("world %d: %s", i, difference)
	}
	if !f.t.Failed() {
		f.walk(i)
	}
}

// names checks that a refusal names every resource that is the reason for it.
func (f *snapshots) names(a *management.Answer, w *world) {
	for _, name := range a.Names {
		if w.get(a.TypeURL, name).undecodable {
			return // there is no name to be known, and it is the only reason
		}
	}
	wanted := f.model.wanted(a.TypeURL)
	for _, name := range a.Names {
		unwanted := wanted != nil && !wanted[name]
		if w.get(a.TypeURL, name).bad && !unwanted && !strings.Contains(a.Refusal, `"`+name+`"`) {
			f.t.Errorf("%s: the refusal %q does not name %q", a.TypeURL, a.Refusal, name)
		}
	}
}

// walk sends requests on some routes of every listener.
func (f *snapshots) walk(i int) {
	for _, l := range f.proxy.Server.Listeners() {
		for range count(2, names) {
			prefix := "/" + f.generator.anyName()
			origin, routed := f.model.expects(l.Name, prefix)
			want := "200 " + origin
			switch {
			case !routed:
				want = "404 "
			case origin == "":
				want = "503 "
			}
			got := ask(f.client, l.Address.String(), prefix)
			if !strings.HasPrefix(got, want) {
				f.t.Errorf("world %d: listener %q, %s: got %q, want %q", i, l.Name, prefix, got, want)
			}
			f.checked++
		}
	}
}

// ask returns the status and the body that a request gets, or the error.
func ask(client *http.Client, address, path string) string {
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

// traffic sends requests all the time on routes that are always there.
type traffic struct {
	client   *http.Client
	sent     atomic.Int64
	stopping atomic.Bool
	running  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	failed []string
}

func newTraffic(to netip.AddrPort, body string) *traffic {
	c := &traffic{client: &http.Client{Transport: &http.Transport{}, Timeout: harness.Guard}}
	for _, path := range []string{"/" + stableEDS, "/" + stableStatic} {
		c.running.Go(func() {
			for !c.stopping.Load() {
				c.sent.Add(1)
				if got := ask(c.client, to.String(), path); got != "200 "+body {
					c.fail(path + ": " + got)
				}
			}
		})
	}
	return c
}

func (c *traffic) fail(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, what)
}

// stop ends it and reports what has failed.
func (c *traffic) stop(t *testing.T) {
	t.Helper()
	c.stopping.Store(true)
	c.running.Wait()
	c.client.CloseIdleConnections()
	if n := len(c.failed); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", n, c.sent.Load(), c.failed[0])
	}
}
