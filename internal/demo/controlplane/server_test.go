package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// call sends one request to the HTTP API and returns the status and the body.
func call(t *testing.T, server *Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+server.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestHTTPAPI(t *testing.T) {
	server := start(t, Options{})
	if status, body := call(t, server, "GET", "/healthz", ""); status != 200 || body != "OK\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
	status, body := call(t, server, "POST", "/v1/config", twoServices)
	var reply applied
	if err := json.Unmarshal([]byte(body), &reply); err != nil || status != 200 || reply.Status != "ok" || reply.Version != "1" || reply.XDSVersion == "" {
		t.Fatalf("POST: %d %s (%v)", status, body, err)
	}
	status, before := call(t, server, "GET", "/v1/config", "")
	if got := mustDecode(t, before); status != 200 || len(got.Services) != 2 || got.Routes[0].Name != "hello" || got.Version != "1" {
		t.Errorf("GET: %d %s", status, before)
	}

	status, body = call(t, server, "POST", "/v1/config", strings.Replace(twoServices, "18082", "70000", 1))
	if want := `{"error":"services[1].port: 70000 is not a port (1-65535)","field":"services[1].port"}` + "\n"; status != 400 || body != want {
		t.Errorf("invalid POST: %d %s, want %s", status, body, want)
	}
	if _, after := call(t, server, "GET", "/v1/config", ""); after != before {
		t.Errorf("a refused configuration changed the running one:\n%s\n%s", before, after)
	}
	// What GET shows can be posted.
	if status, body := call(t, server, "POST", "/v1/config", before); status != 200 {
		t.Errorf("POST of what GET gave: %d %s", status, body)
	}
}

func TestHTTPAPIRefusals(t *testing.T) {
	server := start(t, Options{})
	for _, test := range []struct {
		method, path, body string
		header             []string
		status             int
		contains           string
	}{
		{"DELETE", "/v1/config", "", nil, 405, "use GET, POST"},
		{"POST", "/healthz", "", nil, 405, "use GET"},
		{"GET", "/", "", nil, 404, "/v1/config"},
		{"POST", "/v1/config", twoServices, []string{"Origin", "http://evil.test"}, 403, "web pages"},
		{"POST", "/v1/config", strings.Repeat(" ", MaxConfigBytes+1), nil, 400, fmt.Sprintf("more than %d bytes", MaxConfigBytes)},
	} {
		status, body := call(t, server, test.method, test.path, test.body, test.header...)
		var reply refused
		if err := json.Unmarshal([]byte(body), &reply); err != nil || status != test.status || !strings.Contains(reply.Error, test.contains) {
			t.Errorf("%s %s: %d %q (%v), want %d with %q", test.method, test.path, status, body, err, test.status, test.contains)
		}
	}
	if config := server.Config(); len(config.Services) != 0 {
		t.Errorf("a refused request applied %+v", config)
	}
}

func TestKeysAreNotShown(t *testing.T) {
	f := newFixture(t)
	server := start(t, Options{})
	if err := server.Apply(mustDecode(t, f.fill(doc("", "", `{"name":"c","cert_chain":"@chain","private_key":"@key"}`)))); err != nil {
		t.Fatal(err)
	}
	_, body := call(t, server, "GET", "/v1/config", "")
	if strings.Contains(body, quoted(f.site.key)) || !strings.Contains(body, redactedKey) {
		t.Errorf("the private key is shown: %s", body)
	}
	if server.Config().Certificates[0].PrivateKey != f.site.key {
		t.Error("showing the configuration changed it")
	}
}

func TestNextVersionIsMonotonic(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	first := nextVersion(0, now)
	second := nextVersion(first, now)
	third := nextVersion(second, now.Add(-time.Hour))
	restarted := nextVersion(0, now.Add(time.Second))
	if first != 1_700_000_000_000 || second <= first || third <= second || restarted <= third {
		t.Errorf("versions %d, %d, %d, then %d after a restart are not ascending", first, second, third, restarted)
	}
	if got := nextVersion(0, time.UnixMilli(-5)); got != 1 {
		t.Errorf("before 1970: %d, want 1", got)
	}
}

func TestNewRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{ADSAddr: taken.Addr().String()}, "listen for ADS"},
		{Options{HTTPAddr: taken.Addr().String()}, "listen for the HTTP API"},
		{Options{ListenerAddress: "localhost"}, `listener address "localhost" is not an IP address`},
	} {
		server, err := New(test.opts)
		if err == nil {
			server.Close()
			t.Errorf("%+v: no error", test.opts)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %q, want it to contain %q", err, test.want)
		}
	}
}

func TestApplyRefusesInvalid(t *testing.T) {
	server := start(t, Options{})
	err := server.Apply(Config{Services: []Service{{Name: "a\xff", Hosts: []string{"10.0.0.1"}, Port: 80}}})
	var field *FieldError
	if !errors.As(err, &field) || field.Path != "services[0].name" {
		t.Errorf("got %v, want a *FieldError at services[0].name", err)
	}
}

// TestCloseAtOnce closes servers that may not have begun to accept.
func TestCloseAtOnce(t *testing.T) {
	for range 10 {
		server, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", server.HTTPAddr()); err == nil {
			conn.Close()
			t.Fatal("the HTTP API still listens after Close")
		}
	}
}

func TestRedactedSharesNothingItChanges(t *testing.T) {
	config := Config{Certificates: []Certificate{{Name: "c", PrivateKey: "k"}, {Name: "ca"}}}
	data, err := json.Marshal(config.redacted())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(`"private_key":"k"`)) || config.Certificates[0].PrivateKey != "k" {
		t.Errorf("redacted: %s, original: %+v", data, config)
	}
}
