package health

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/penguintechinc/marchproxy-alb/config"
)

func grpcCheck(service string) *config.HealthCheck {
	return &config.HealthCheck{Timeout: guard, ReuseConnection: true, GRPC: &config.GRPCHealthCheck{Service: service}}
}

// startGRPC starts a server of grpc-go and returns where it is.
func startGRPC(t *testing.T, register func(*grpc.Server), o ...grpc.ServerOption) *config.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(o...)
	register(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return &config.Endpoint{Address: config.Address{IP: "127.0.0.1", Port: uint32(l.Addr().(*net.TCPAddr).Port)}}
}

// TestGRPCServer asks grpc-go's health server.
func TestGRPCServer(t *testing.T) {
	server := grpchealth.NewServer()
	e := startGRPC(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, server) })
	for _, tc := range []struct {
		name, service string
		status        healthpb.HealthCheckResponse_ServingStatus
		want          outcome
		why           string
	}{
		{"the server serves", "", healthpb.HealthCheckResponse_SERVING, passed, ""},
		{"the service serves", "a.B", healthpb.HealthCheckResponse_SERVING, passed, ""},
		{"the service does not", "a.B", healthpb.HealthCheckResponse_NOT_SERVING, failed, "NOT_SERVING"},
		{"nobody knows", "a.B", healthpb.HealthCheckResponse_UNKNOWN, failed, "UNKNOWN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server.SetServingStatus(tc.service, tc.status)
			p := newProber(&config.Cluster{Name: "k", HealthCheck: grpcCheck(tc.service)}, e, nil, nil, nil)
			defer p.close()
			for range 2 {
				if why := wantOutcome(t, p, tc.want); why != tc.why {
					t.Errorf("why: %q, want %q", why, tc.why)
				}
			}
		})
	}
	t.Run("no such service", func(t *testing.T) {
		p := newProber(&config.Cluster{Name: "k", HealthCheck: grpcCheck("none")}, e, nil, nil, nil)
		defer p.close()
		if why := wantOutcome(t, p, failed); why != `grpc-status 5 "unknown service"` {
			t.Errorf("why: %q", why)
		}
	})
}

func TestGRPCUnimplemented(t *testing.T) {
	e := startGRPC(t, func(*grpc.Server) {})
	p := newProber(&config.Cluster{Name: "k", HealthCheck: grpcCheck("")}, e, nil, nil, nil)
	defer p.close()
	if why := wantOutcome(t, p, failed); !strings.HasPrefix(why, "grpc-status 12 ") {
		t.Errorf("why: %q, want one of status 12", why)
	}
}

// noted answers with what it was asked, as the text of an error.
type noted struct {
	healthpb.UnimplementedHealthServer
	asked chan string
}

func (n *noted) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	deadline, bounded := ctx.Deadline()
	text := r.GetService()
	for _, name := range []string{":authority", "user-agent", "x-token", "content-type"} {
		text += " " + strings.Join(md.Get(name), "+")
	}
	if left := time.Until(deadline); !bounded || left > 5*time.Second {
		text += " too late"
	}
	n.asked <- text
	return nil, status.Error(codes.Unavailable, "busy")
}

// TestGRPCCall holds what a call says of itself, and that a status which the host gives is no failure of the network, whatever
// it is.
func TestGRPCCall(t *testing.T) {
	n := &noted{asked: make(chan string, 1)}
	e := startGRPC(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, n) })
	for _, tc := range []struct {
		name            string
		change          func(*config.GRPCHealthCheck, *config.Endpoint)
		service, result string
	}{
		{"plain", func(*config.GRPCHealthCheck, *config.Endpoint) {}, "", " a/b Envoy/HC  application/grpc"},
		{"service and authority", func(c *config.GRPCHealthCheck, _ *config.Endpoint) { c.Authority = "of.all" }, "x.Y",
			"x.Y of.all Envoy/HC  application/grpc"},
		{"hostname and metadata", func(c *config.GRPCHealthCheck, e *config.Endpoint) {
			c.Authority, e.HealthCheck.Hostname = "of.all", "its.own"
			c.Headers = []config.HeaderValue{{Name: "x-token", Value: "1"}, {Name: "x-token", Value: "2"}}
		}, "", " its.own Envoy/HC 1+2 application/grpc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check, endpoint := grpcCheck(tc.service), *e
			check.Timeout = 5 * time.Second
			tc.change(check.GRPC, &endpoint)
			p := newProber(&config.Cluster{Name: "a/b", HealthCheck: check}, &endpoint, nil, nil, nil)
			defer p.close()
			if why := wantOutcome(t, p, failed); why != `grpc-status 14 "busy"` {
				t.Errorf("why: %q", why)
			}
			if got := <-n.asked; got != tc.result {
				t.Errorf("got  %q\nwant %q", got, tc.result)
			}
		})
	}
}

// TestGRPCAnswers scripts what servers do wrong.
func TestGRPCAnswers(t *testing.T) {
	const serving = "\x00\x00\x00\x00\x02\x08\x01"
	head := func(h *rawHost, s uint32) { h.head(s, false, ":status", "200", "content-type", "application/grpc") }
	message := func(text string, trailers ...string) func(*rawHost, uint32) {
		return func(h *rawHost, s uint32) {
			head(h, s)
			_ = h.WriteData(s, len(trailers) == 0, []byte(text))
			if len(trailers) > 0 {
				h.head(s, true, trailers...)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		script func(*rawHost, uint32)
		want   outcome
		why    string
	}{
		{"serving", message(serving, "grpc-status", "0"), passed, ""},
		{"serving, with a field that is not known", message("\x00\x00\x00\x00\x04\x08\x01\x10\x05", "grpc-status", "0"), passed, ""},
		{"a kind of gRPC", func(h *rawHost, s uint32) {
			h.head(s, false, ":status", "200", "content-type", "application/grpc+proto")
			_ = h.WriteData(s, false, []byte(serving))
			h.head(s, true, "grpc-status", "0")
		}, passed, ""},
		{"serving, but a failure", message(serving, "grpc-status", "13", "grpc-message", "x"), failed, `grpc-status 13 "x"`},
		{"no trailers", message(serving), failed, "no grpc-status"},
		{"trailers without status", message(serving, "a", "b"), failed, "no grpc-status"},
		{"no message", func(h *rawHost, s uint32) {
			h.head(s, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "0")
		}, failed, "the answer is not one uncompressed message"},
		{"an empty message", message("\x00\x00\x00\x00\x00", "grpc-status", "0"), failed, "UNKNOWN"},
		{"two messages", message(serving+serving, "grpc-status", "0"), failed, "the answer is not one uncompressed message"},
		{"a message that is cut", message(serving[:6], "grpc-status", "0"), failed, "the answer is not one uncompressed message"},
		{"a compressed message", message("\x01"+serving[1:], "grpc-status", "0"), failed, "the answer is not one uncompressed message"},
		{"HTTP", func(h *rawHost, s uint32) { h.head(s, true, ":status", "503") }, failed, "status 503 of HTTP"},
		{"a page", func(h *rawHost, s uint32) { h.head(s, true, ":status", "200", "content-type", "application/grpc-web") }, failed,
			`content-type "application/grpc-web" is not gRPC's`},
		{"reset", func(h *rawHost, s uint32) { _ = h.WriteRSTStream(s, http2.ErrCodeCancel) }, networkFailure, "the host reset the stream: CANCEL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := rawOrigin(t, tc.script)
			p := o.prober(grpcCheck(""))
			if why := wantOutcome(t, p, tc.want); why != tc.why {
				t.Errorf("why: %q, want %q", why, tc.why)
			}
			wantOutcome(t, p, tc.want)
		})
	}
	o := rawOrigin(t, message("\x00\x00\x00\x00\x01\x08", "grpc-status", "0"))
	wantOutcome(t, o.prober(grpcCheck("")), failed) // a message that is none
}

func TestGRPCTimeout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1m", time.Millisecond + 1: "2m", time.Second: "1000m", 99999999 * time.Millisecond: "99999999m",
		99999999*time.Millisecond + 1: "100000S", 99999999 * time.Second: "99999999S", 99999999*time.Second + 1: "1666667M",
	} {
		if got := grpcTimeout(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
