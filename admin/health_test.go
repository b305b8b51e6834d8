package admin

import (
	"errors"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

func TestHealth(t *testing.T) {
	f := newFixture()
	s, err := NewHealth(f.options)
	p := serve(t, s, err)
	for _, tc := range []struct {
		state  adminv3.ServerInfo_State
		reason string
		alive  error
		path   string
		status int
		body   string
	}{
		{adminv3.ServerInfo_PRE_INITIALIZING, "waiting for clusters", nil, "/healthz", 200, "OK"},
		{adminv3.ServerInfo_PRE_INITIALIZING, "waiting for clusters", nil, "/ready", 503, "not ready: PRE_INITIALIZING: waiting for clusters\n"},
		{adminv3.ServerInfo_INITIALIZING, "", nil, "/ready", 503, "not ready: INITIALIZING\n"},
		{adminv3.ServerInfo_LIVE, "", nil, "/ready", 200, "Ready"},
		{adminv3.ServerInfo_LIVE, "", nil, "/healthz", 200, "OK"},
		{adminv3.ServerInfo_LIVE, "", errors.New("worker 1 ended"), "/healthz", 503, "worker 1 ended\n"},
		{adminv3.ServerInfo_DRAINING, "told to fail\nhealth checks", nil, "/ready", 503, "not ready: DRAINING: told to fail\\x0ahealth checks\n"},
		{adminv3.ServerInfo_DRAINING, "", nil, "/healthz", 200, "OK"},
	} {
		f.state, f.reason, f.alive = tc.state, tc.reason, tc.alive
		p.get(tc.path).want(t, tc.status, tc.body)
	}
	p.get("/").want(t, 404, "no such path, want /healthz or /ready\n")
	p.get("/metrics").want(t, 404, "no such path, want /healthz or /ready\n")
	p.do("POST", "/healthz").want(t, 405, "method not allowed, want GET or HEAD\n")
	if a := p.do("HEAD", "/ready"); a.StatusCode != 503 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
}
