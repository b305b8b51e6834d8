package bench

import (
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/bench/child"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

func TestOriginsAlive(t *testing.T) {
	spawner := child.NewSpawner()
	defer spawner.Close()
	c, err := spawner.Start(child.Spec{Path: "/bin/cat", Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	o := origins{processes: []*child.Child{c}, stops: []func() error{c.Stop}}
	if err := o.alive(); err != nil {
		t.Errorf("an origin that runs: %v", err)
	}
	c.CloseStdin()
	if err := c.Wait(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := o.alive(); err == nil {
		t.Error("an origin that has ended: want an error")
	}
	if err := o.stop(); err != nil {
		t.Error(err)
	}
}

func TestOriginOf(t *testing.T) {
	o := origins{http1: "1", http2: "2", calls: "3"}
	for want, traffic := range map[string]peer.Traffic{
		"1": {Upstream: peer.HTTP1},
		"2": {Upstream: peer.HTTP2},
		"3": {Upstream: peer.HTTP2, GRPC: true},
	} {
		if got := o.of(traffic); got != want {
			t.Errorf("%+v: origin %s, want %s", traffic, got, want)
		}
	}
}
