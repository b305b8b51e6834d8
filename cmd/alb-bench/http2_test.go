package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/bench"
	"github.com/penguintechinc/marchproxy-alb/bench/nghttpd"
	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

var (
	toHTTP1 = peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP1, AddHeaders: true}
	toHTTP2 = peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, AddHeaders: true}
	calls   = peer.Traffic{Downstream: peer.HTTP2, Upstream: peer.HTTP2, AddHeaders: true, GRPC: true}
)

// needNghttp2 skips where HTTP/2 cannot be measured.
func needNghttp2(t *testing.T) {
	t.Helper()
	for _, name := range []string{"h2load", "nghttpd"} {
		if _, err := peer.FindProgram(name); err != nil {
			t.Skip(err)
		}
	}
}

// measureHTTP2 returns the report of one round of the fake proxy.
func measureHTTP2(t *testing.T, s bench.Scenario) bench.ScenarioReport {
	t.Helper()
	needNghttp2(t)
	o := options(t, s)
	o.Load, o.CrossCheck = bench.Auto, true
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	result := report.Scenarios[0]
	if report.Failed() || len(result.Rounds) != 1 {
		t.Fatalf("%+v", result)
	}
	noneLeft(t)
	return result
}

func TestHTTP2Throughput(t *testing.T) {
	small := bench.Scenario{Name: "small", Measure: bench.Throughput, Connections: 2, Streams: 8, Path: "/16", Body: 16}
	toOne, toTwo, call, secure := small, small, small, small
	toOne.Traffic, toTwo.Traffic, call.Traffic = toHTTP1, toHTTP2, calls
	secure.Traffic = toHTTP1
	secure.Traffic.TLS = true
	call.Path, call.Body, call.Message = nghttpd.CallPath, 1024, 1024
	call.Headers = []string{"content-type: application/grpc", "te: trailers"}
	for name, s := range map[string]bench.Scenario{"h2-h1": toOne, "h2-h2": toTwo, "grpc": call, "tls": secure} {
		t.Run(name, func(t *testing.T) {
			result := measureHTTP2(t, s)
			if result.Load != bench.H2load || result.CheckedBy != bench.Own || len(result.CrossChecks) != 1 {
				t.Fatalf("%+v", result)
			}
			check := result.CrossChecks[0]
			if check.Load.Requests == 0 || check.Load.Bytes != check.Load.Requests*uint64(s.Body) || check.TotalCPU <= 0 || check.Load.P99 <= 0 {
				t.Errorf("checked: %+v", check)
			}
			round := result.Rounds[0]
			if round.Load.Requests == 0 || round.Load.Bytes != round.Load.Requests*uint64(s.Body) || round.TotalCPU <= 0 {
				t.Errorf("%+v", round)
			}
			if sum := result.Summary[0]; sum.CPU <= 0 || sum.RequestsPerSecond <= 0 || sum.Mean <= 0 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

func TestDownload(t *testing.T) {
	s := bench.Scenario{Name: "large", Measure: bench.Download, Traffic: toHTTP2, Connections: 1, Streams: 1, Path: "/64m", Body: 64 << 20}
	round := measureHTTP2(t, s).Rounds[0]
	// The fake proxy gives memory back when it likes: its peak may be below what it had before.
	if round.Load.Requests != 1 || round.Load.Bytes != 64<<20 || round.BaseRSS <= 0 || round.PeakRSS <= 0 || round.AfterRSS <= 0 {
		t.Errorf("%+v", round)
	}
}

func TestStalled(t *testing.T) {
	s := bench.Scenario{Name: "stalled", Measure: bench.Stalled, Traffic: toHTTP2, Connections: 2, Streams: 50, Path: "/1m", Body: 1 << 20}
	result := measureHTTP2(t, s)
	if round := result.Rounds[0]; round.BaseRSS <= 0 || round.AfterRSS <= round.BaseRSS {
		t.Errorf("%+v", round)
	}
	if each := result.Summary[0].BytesEach; each <= 0 {
		t.Errorf("%v bytes each", each)
	}
}

// TestHolders has the sub-commands speak to a server of their own.
func TestHolders(t *testing.T) {
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		size := 16
		if r.URL.Path == "/large" {
			size = 1 << 20
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		w.Write(make([]byte, size))
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	for _, test := range []struct {
		args     []string
		protocol string
	}{
		{[]string{"idle", "--path", "/small"}, "HTTP/1.1"},
		{[]string{"idle", "--path", "/small", "--http2"}, "HTTP/2.0"},
		{[]string{"stall", "--path", "/large", "--streams", "2"}, "HTTP/2.0"},
	} {
		args := append(test.args, "--address", server.Listener.Addr().String(), "--connections", "3")
		var out, complaint bytes.Buffer
		if got := run(args, strings.NewReader(""), &out, &complaint); got != exitOK || out.String() != "ready\nclosed 0\n" {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q", args, got, out.String(), complaint.String())
		}
		if got := protocol.Load(); got != test.protocol {
			t.Errorf("%q: the server was spoken to in %v, want %s", args, got, test.protocol)
		}
	}
}

// TestWithoutH2load has the lab's own load take its place.
func TestWithoutH2load(t *testing.T) {
	needNghttp2(t)
	if _, err := os.Stat("/usr/sbin/h2load"); err == nil {
		t.Skip("h2load is where it is found without the PATH")
	}
	if _, err := os.Stat("/usr/sbin/nghttpd"); err != nil {
		t.Skip("nghttpd is found on the PATH only")
	}
	o := options(t, bench.Scenario{Name: "h2-h2", Measure: bench.Throughput, Traffic: toHTTP2, Connections: 1, Streams: 1, Path: "/16", Body: 16})
	t.Setenv("PATH", t.TempDir())
	o.Load = bench.Auto
	report, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Scenarios[0]; report.Failed() || len(s.Rounds) != 1 || s.Load != bench.Own {
		t.Errorf("%+v", s)
	}
	noneLeft(t)
}
