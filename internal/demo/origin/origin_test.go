package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, colour string) *Server {
	t.Helper()
	server, err := Start("127.0.0.1:0", colour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func do(t *testing.T, server *Server, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+server.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/x-test")
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(data)
}

func TestEndpoints(t *testing.T) {
	server := start(t, "blue")
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/", "", 200, "Hello from blue\n"},
		{"GET", "/any/path?q=1", "", 200, "Hello from blue\n"},
		{"GET", "/blue", "", 200, "Hello from blue\n"},
		{"GET", "/blue/status/418", "", 418, "418 I'm a teapot\n"},
		{"GET", "/bluebell/status/418", "", 200, "Hello from blue\n"},
		{"POST", "/", "ignored", 200, "Hello from blue\n"},
		{"GET", "/status/503", "", 503, "503 Service Unavailable\n"},
		{"GET", "/status/204", "", 204, ""},
		{"GET", "/status/304", "", 304, ""},
		{"GET", "/status/100", "", 400, "\"100\" is not a status from 200 to 599\n"},
		{"GET", "/status/600", "", 400, "\"600\" is not a status from 200 to 599\n"},
		{"GET", "/status/", "", 400, "\"\" is not a status from 200 to 599\n"},
		{"GET", "/delay/1ms", "", 200, "blue after 1ms\n"},
		{"GET", "/delay/31s", "", 400, "\"31s\" is not a delay from 0s to 30s, such as 250ms\n"},
		{"GET", "/delay/-1s", "", 400, "\"-1s\" is not a delay from 0s to 30s, such as 250ms\n"},
		{"GET", "/delay/soon", "", 400, "\"soon\" is not a delay from 0s to 30s, such as 250ms\n"},
		{"GET", "/bytes/0", "", 200, ""},
		{"GET", "/bytes/30", "", 200, "abcdefghijklmnopqrstuvwxyzabcd"},
		{"GET", "/bytes/1073741825", "", 400, "\"1073741825\" is not a number of bytes from 0 to 1073741824\n"},
		{"GET", "/bytes/-1", "", 400, "\"-1\" is not a number of bytes from 0 to 1073741824\n"},
		{"POST", "/echo", "abc\x00def", 200, "abc\x00def"},
		{"GET", "/ws", "", 426, "a WebSocket handshake is needed: GET with connection: upgrade and upgrade: websocket\n"},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			response, body := do(t, server, test.method, test.path, test.body)
			if response.StatusCode != test.status || body != test.want {
				t.Errorf("got %d %q, want %d %q", response.StatusCode, body, test.status, test.want)
			}
			if got := response.Header.Get("x-origin"); got != "blue" {
				t.Errorf("x-origin is %q, want blue", got)
			}
		})
	}
}

func TestBytesHaveALength(t *testing.T) {
	server := start(t, "blue")
	response, body := do(t, server, "GET", "/bytes/1048576", "")
	if response.ContentLength != 1<<20 || len(body) != 1<<20 || !strings.HasPrefix(body[26:], "abc") {
		t.Errorf("content-length %d, %d bytes", response.ContentLength, len(body))
	}
}

func TestEchoKeepsContentType(t *testing.T) {
	response, _ := do(t, start(t, "blue"), "POST", "/echo", "x")
	if got := response.Header.Get("content-type"); got != "text/x-test" {
		t.Errorf("content-type %q, want text/x-test", got)
	}
}

// TestHeadersAreShownAsTheyArrive sends what no client library would: names in odd case, twice, and lower-case framing.
func TestHeadersAreShownAsTheyArrive(t *testing.T) {
	server := start(t, "blue")
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /blue/headers?a=%20b HTTP/1.1\r\nhost: a.test\r\nx-ODD-case: 1\r\nx-odd-case: 2\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
	data, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(data), "\r\n\r\n")
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if lines[0] != "POST /blue/headers?a=%20b HTTP/1.1" {
		t.Errorf("request line shown as %q", lines[0])
	}
	for _, want := range []string{"x-ODD-case: 1", "x-odd-case: 2"} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if !strings.Contains(strings.ToLower(body), "\nhost: a.test\n") {
		t.Errorf("host is not in\n%s", body)
	}
}

func TestCloseEndsDelays(t *testing.T) {
	server, err := Start("127.0.0.1:0", "blue")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /delay/30s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
	// The request has arrived when it counts as one being served.
	for deadline := time.Now().Add(20 * time.Second); server.http.GetCurrentConcurrency() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request did not arrive")
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartRefusesATakenPort(t *testing.T) {
	server := start(t, "blue")
	if other, err := Start(server.Addr(), "green"); err == nil {
		other.Close()
		t.Error("two origins on one port")
	} else if !strings.Contains(err.Error(), "origin green") {
		t.Errorf("the error does not say whose port it is: %v", err)
	}
}

func TestTooLargeABody(t *testing.T) {
	server := start(t, "blue")
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The head alone: what is refused for its length need not be sent.
	if _, err := fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", MaxEchoBytes+1); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if want := fmt.Sprintf("the body has more than %d bytes\n", MaxEchoBytes); err != nil || response.StatusCode != 413 || string(body) != want {
		t.Errorf("%d %q, %v, want 413 %q", response.StatusCode, body, err, want)
	}
}
