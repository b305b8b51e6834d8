package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/stats"
	"github.com/penguintechinc/marchproxy-alb/xds/ads"
	"github.com/penguintechinc/marchproxy-alb/xds/rest"
)

const (
	clusterURL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	refresh    = 10 * time.Second
	patience   = 10 * time.Minute // of a bubble's time
)

// poll is a request that the control plane got, and the answer that it waits for.
type poll struct {
	*discoveryv3.DiscoveryRequest
	http   *http.Request
	at     time.Time
	answer chan answer
}

type answer struct {
	status int
	body   string
}

// talk is a source that polls a scripted control plane.
type talk struct {
	*rest.Source
	t      *testing.T
	polls  chan *poll
	dialed []string    // targets
	down   atomic.Bool // connections are refused
	failed []error
	handle func(ads.Response) error
}

// converse runs script in a bubble. There is no jitter unless change makes some.
func converse(t *testing.T, change func(*talk, *rest.Options), script func(*talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &talk{t: t, polls: make(chan *poll, 16), handle: func(ads.Response) error { return nil }}
		listener := bufconn.Listen(1 << 16)
		server := &http.Server{Handler: c, Protocols: new(http.Protocols)}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(listener)
		}()
		defer func() {
			_ = server.Close()
			<-served
		}()
		opts := rest.Options{
			Targets:      []string{"one:80"},
			Host:         "xds_cluster",
			Node:         &corev3.Node{Id: "n", Cluster: "c"},
			Types:        []ads.Type{c.typ(true)},
			RefreshDelay: refresh,
			Jitter:       func(int64) int64 { return 0 },
			Dial: func(ctx context.Context, target string) (net.Conn, error) {
				c.dialed = append(c.dialed, target)
				if c.down.Load() {
					return nil, errors.New("connection refused")
				}
				return listener.DialContext(ctx)
			},
			OnFailure: func(err error) { c.failed = append(c.failed, err) },
			Logger:    zap.NewNop(),
		}
		if change != nil {
			change(c, &opts)
		}
		var err error
		if c.Source, err = rest.New(opts); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		script(c)
	})
}

func (c *talk) typ(wildcard bool) ads.Type {
	return ads.Type{
		URL:      clusterURL,
		Wildcard: wildcard,
		Decode: func(packed *anypb.Any) (string, proto.Message, error) {
			cluster := &clusterv3.Cluster{}
			err := packed.UnmarshalTo(cluster)
			return cluster.GetName(), cluster, err
		},
		Handle: func(_ context.Context, r ads.Response) error { return c.handle(r) },
	}
}

// ServeHTTP has the script answer.
func (c *talk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	p := &poll{DiscoveryRequest: &discoveryv3.DiscoveryRequest{}, http: r, at: time.Now(), answer: make(chan answer, 1)}
	if err := protojson.Unmarshal(body, p.DiscoveryRequest); err != nil {
		c.t.Errorf("body %q: %v", body, err)
	}
	c.polls <- p
	select {
	case a := <-p.answer:
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	case <-r.Context().Done():
	}
}

// next waits for a poll with this version and these names.
func (c *talk) next(what, version string, names ...string) *poll {
	c.t.Helper()
	var p *poll
	select {
	case p = <-c.polls:
	case <-time.After(patience):
		c.t.Fatalf("%s: no poll came", what)
	}
	want := &discoveryv3.DiscoveryRequest{VersionInfo: version, ResourceNames: names, TypeUrl: clusterURL, Node: &corev3.Node{Id: "n", Cluster: "c"}}
	if !proto.Equal(p.DiscoveryRequest, want) {
		c.t.Fatalf("%s:\n got %v\nwant %v", what, p.DiscoveryRequest, want)
	}
	return p
}

func (c *talk) silent(what string) {
	c.t.Helper()
	select {
	case p := <-c.polls:
		c.t.Fatalf("%s: a poll came: %v", what, p.DiscoveryRequest)
	default:
	}
}

// send answers with clusters, and waits until they are taken.
func (p *poll) send(version string, names ...string) {
	var resources []string
	for _, name := range names {
		resources = append(resources, fmt.Sprintf(`{"@type": %q, "name": %q}`, clusterURL, name))
	}
	p.status(http.StatusOK, fmt.Sprintf(`{"version_info": %q, "resources": [%s]}`, version, strings.Join(resources, ", ")))
}

func (p *poll) status(status int, body string) {
	p.answer <- answer{status, body}
	synctest.Wait()
}

func TestPolls(t *testing.T) {
	converse(t, nil, func(c *talk) {
		var handled []string
		c.handle = func(r ads.Response) error {
			line := r.Version + ":"
			for _, res := range r.Resources {
				line += " " + res.Name
			}
			handled = append(handled, line)
			if r.Version == "bad" {
				return errors.New("it does not fit")
			}
			return nil
		}
		synctest.Wait()
		c.silent("before anything is asked for")
		c.Subscribe(clusterURL, nil)
		p := c.next("first", "")
		if r := p.http; r.Method != http.MethodPost || r.URL.Path != "/v3/discovery:clusters" || r.Host != "xds_cluster" ||
			r.Header.Get("Content-Type") != "application/json" || r.UserAgent() != "" || r.ProtoMajor != 1 {
			t.Errorf("request %s %s %s %v of %s", r.Proto, r.Method, r.URL, r.Header, r.Host)
		}
		p.send("v1", "a", "b")
		second := c.next("the version is taken", "v1")
		if waited := second.at.Sub(p.at); waited != refresh {
			t.Errorf("polled again after %v, want %v", waited, refresh)
		}
		second.status(http.StatusNotModified, "")
		c.next("nothing new", "v1").send("bad", "c")
		c.next("refused: the version before", "v1").status(http.StatusOK, `{"version_info": 5`)
		c.next("not JSON: the version before", "v1").status(http.StatusOK, "")
		c.next("empty: the version before", "v1").send("v2")
		if got, want := strings.Join(handled, ", "), "v1: a b, bad: c, v2:"; got != want {
			t.Errorf("handled %s, want %s", got, want)
		}
		stats := c.Stats(clusterURL)
		stats.UpdateTime = time.Time{}
		want := ads.Stats{UpdateAttempt: 6, UpdateSuccess: 2, UpdateRejected: 3, Version: ads.VersionHash("v2"), VersionText: "v2"}
		if stats != want {
			t.Errorf("stats %+v, want %+v", stats, want)
		}
		if st := c.State(); !st.Connected || !st.Heard || st.Target != "one:80" || st.LastError != "" {
			t.Errorf("state = %+v", st)
		}
		if len(c.dialed) != 1 {
			t.Errorf("connected %d times, want one connection for all polls", len(c.dialed))
		}
	})
}

func TestNamesArePolledForAtOnce(t *testing.T) {
	change := func(c *talk, o *rest.Options) { o.Types[0] = c.typ(false) }
	converse(t, change, func(c *talk) {
		var got []string
		c.handle = func(r ads.Response) error {
			for _, res := range r.Resources {
				got = append(got, res.Name)
			}
			return nil
		}
		c.Subscribe(clusterURL, nil)
		synctest.Wait()
		c.silent("nothing is wanted")
		start := time.Now()
		c.Subscribe(clusterURL, []string{"b", "a", "b"})
		c.next("names", "", "a", "b").send("v1", "a", "stranger")
		c.Subscribe(clusterURL, []string{"a", "b"})
		synctest.Wait()
		c.silent("the same names")
		c.Subscribe(clusterURL, []string{"c"})
		c.next("other names, for which no version is held", "", "c").send("v2", "c")
		c.Subscribe(clusterURL, []string{"a", "c"})
		more := c.next("more names", "", "a", "c")
		c.Subscribe(clusterURL, []string{"a", "b", "c"})
		more.send("v2", "a", "c")
		c.next("names that came while others were polled for", "", "a", "b", "c").send("v2", "b")
		c.Subscribe(clusterURL, []string{"c"})
		c.next("fewer names", "v2", "c").status(http.StatusNotModified, "")
		c.Restart()
		c.next("restart", "v2", "c").send("v2", "c")
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		if want := "a c a c b c"; strings.Join(got, " ") != want {
			t.Errorf("handled %v, want %s", got, want)
		}
		c.Subscribe(clusterURL, nil)
		time.Sleep(2 * refresh)
		synctest.Wait()
		c.silent("nothing is wanted any more")
	})
}

func TestFailures(t *testing.T) {
	change := func(_ *talk, o *rest.Options) {
		o.Targets = []string{"one:80", "two:80"}
		o.RequestTimeout = 3 * time.Second
		o.MaxReceiveBytes = 1000
	}
	converse(t, change, func(c *talk) {
		c.handle = func(ads.Response) error { t.Error("a failure was handled"); return nil }
		c.down.Store(true)
		c.Subscribe(clusterURL, nil)
		synctest.Wait()
		c.down.Store(false)
		c.next("second target", "").status(http.StatusServiceUnavailable, "later")
		c.next("first target", "").status(http.StatusPermanentRedirect, "")
		p := c.next("second target", "")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if p.http.Context().Err() == nil {
			t.Error("a poll outlived the timeout")
		}
		c.next("first target", "").status(http.StatusOK, strings.Repeat(" ", 1001))
		if got, want := strings.Join(c.dialed, " "), "one:80 two:80 one:80 two:80 one:80"; got != want {
			t.Errorf("connected to %s, want %s", got, want)
		}
		for i, want := range []string{"connection refused", "status 503", "status 308", "no response within the request_timeout of 3s", "larger than 1000 bytes"} {
			if i >= len(c.failed) || !strings.Contains(c.failed[i].Error(), want) {
				t.Errorf("failures %v, want %q as number %d", c.failed, want, i)
			}
		}
		if stats := c.Stats(clusterURL); stats.UpdateAttempt != 5 || stats.UpdateFailure != 5 || stats.UpdateRejected != 0 {
			t.Errorf("stats = %+v", stats)
		}
		if st := c.State(); st.Connected || st.Heard || st.Target != "two:80" || st.LastError == "" {
			t.Errorf("state = %+v", st)
		}
	})
}

// TestUnknownFields holds that fields which the API does not have are told of, or refused.
func TestUnknownFields(t *testing.T) {
	for _, reject := range []bool{false, true} {
		var told []string
		change := func(_ *talk, o *rest.Options) {
			o.RejectUnknownFields = reject
			o.OnUnknownFields = func(fields []string) { told = append(told, fields...) }
		}
		converse(t, change, func(c *talk) {
			c.Subscribe(clusterURL, nil)
			c.next("first", "").status(http.StatusOK, `{"version_info": "v1", "colour": "red"}`)
			stats := c.Stats(clusterURL)
			if refused := stats.UpdateRejected == 1 && stats.VersionText == ""; refused != reject {
				t.Errorf("reject %v: stats %+v", reject, stats)
			}
			if all := strings.Join(told, ", "); strings.Contains(all, "colour") == reject {
				t.Errorf("reject %v: told of %q", reject, all)
			}
		})
	}
}

// TestCounts counts polls and their connections for the cluster of the control plane.
func TestCounts(t *testing.T) {
	store := stats.NewStore(stats.Options{})
	k := outbound.New(outbound.Scopes{Cluster: store.Scope("c.", stats.Cluster)})
	change := func(_ *talk, o *rest.Options) {
		dial := o.Dial
		o.Begin, o.RequestTimeout = k.Begin, 3*time.Second
		o.Dial = func(ctx context.Context, target string) (net.Conn, error) {
			return k.Dial(ctx, target, func(ctx context.Context) (net.Conn, error) { return dial(ctx, target) })
		}
	}
	converse(t, change, func(c *talk) {
		c.down.Store(true)
		c.Subscribe(clusterURL, nil)
		synctest.Wait()
		c.down.Store(false)
		c.next("after no connection", "").send("v1")
		c.next("on the same", "v1").status(http.StatusServiceUnavailable, "later")
		c.next("on a new one", "v1")
		time.Sleep(3 * time.Second)
		synctest.Wait()
	})
	want := outbound.HostStats{CxTotal: 3, CxConnectFail: 1, RqTotal: 3, RqSuccess: 1, RqError: 2, RqTimeout: 1}
	if got := k.Host("one:80"); got != want {
		t.Errorf("host %+v, want %+v", got, want)
	}
	counted := store.Snapshot(t.Context())
	for name, want := range map[string]uint64{
		"upstream_cx_total": 3, "upstream_cx_http1_total": 2, "upstream_cx_active": 0, "upstream_cx_connect_fail": 1, "upstream_cx_destroy": 3,
		"upstream_rq_total": 3, "upstream_rq_active": 0, "upstream_rq_pending_active": 0, "upstream_rq_pending_failure_eject": 1,
		"upstream_rq_200": 1, "upstream_rq_503": 2, "upstream_rq_504": 1, "upstream_rq_timeout": 1,
	} {
		if got, _ := counted.Value("c." + name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestJitter(t *testing.T) {
	change := func(_ *talk, o *rest.Options) { o.Jitter = func(n int64) int64 { return n - 1 } }
	converse(t, change, func(c *talk) {
		c.Subscribe(clusterURL, nil)
		first := c.next("first", "")
		first.send("v1")
		second := c.next("second", "v1")
		if waited := second.at.Sub(first.at); waited != 2*refresh-1 {
			t.Errorf("waited %v, want one to two times %v", waited, refresh)
		}
		second.send("v2")
	})
}

func TestHTTP2(t *testing.T) {
	converse(t, func(_ *talk, o *rest.Options) { o.HTTP2 = true }, func(c *talk) {
		c.Subscribe(clusterURL, nil)
		p := c.next("first", "")
		if p.http.ProtoMajor != 2 || p.http.Host != "xds_cluster" {
			t.Errorf("%s request for %s", p.http.Proto, p.http.Host)
		}
		p.send("v1", "a")
		c.next("second", "v1").send("v1", "a")
		if len(c.dialed) != 1 {
			t.Errorf("connected %d times", len(c.dialed))
		}
	})
}

func TestStopWhilePolling(t *testing.T) {
	converse(t, func(_ *talk, o *rest.Options) { o.RequestTimeout = time.Hour }, func(c *talk) {
		c.Subscribe(clusterURL, nil)
		c.next("first", "")
	})
}

func TestNewRefuses(t *testing.T) {
	good := rest.Options{
		Targets: []string{"t:80"}, Host: "h", Node: &corev3.Node{Id: "n", Cluster: "c"}, Types: []ads.Type{{URL: clusterURL}},
		RefreshDelay: time.Second, Logger: zap.NewNop(),
	}
	if _, err := rest.New(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*rest.Options)
		want   string
	}{
		{"no target", func(o *rest.Options) { o.Targets = nil }, "no target"},
		{"no host", func(o *rest.Options) { o.Host = "" }, "host"},
		{"no node", func(o *rest.Options) { o.Node = nil }, "node"},
		{"no type", func(o *rest.Options) { o.Types = nil }, "0 types"},
		{"type that is not polled for", func(o *rest.Options) {
			o.Types = []ads.Type{{URL: "type.googleapis.com/envoy.config.route.v3.VirtualHost"}}
		}, "cannot be polled for"},
		{"no refresh_delay", func(o *rest.Options) { o.RefreshDelay = 0 }, "refresh_delay"},
		{"negative request_timeout", func(o *rest.Options) { o.RequestTimeout = -1 }, "request_timeout"},
		{"no logger", func(o *rest.Options) { o.Logger = nil }, "logger"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if _, err := rest.New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}
