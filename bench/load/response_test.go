package load

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	tests := []struct {
		in   string
		want response
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", response{200, 3, false}},
		{"HTTP/1.1 404 \r\ncontent-length:0\r\n\r\n", response{404, 0, false}},
		{"HTTP/1.1 200 OK\r\nDate: x\r\nCONNECTION: Close\r\nContent-Length:\t1 \r\n\r\nx", response{200, 1, true}},
		{"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", response{200, 1, false}},
	}
	for _, test := range tests {
		in := strings.NewReader(test.in + "NEXT")
		r := bufio.NewReader(in)
		got, err := readResponse(r)
		if err != nil || got != test.want {
			t.Errorf("%q: got %+v, %v, want %+v", test.in, got, err, test.want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "NEXT" {
			t.Errorf("%q: left %q, want NEXT", test.in, rest)
		}
	}
}

func TestReadResponseRefuses(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", maxFields) + "Content-Length: 0\r\n\r\n",
	} {
		if got, err := readResponse(bufio.NewReader(strings.NewReader(in))); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		}
	}
}

// TestEveryTruncationFails cuts a response at each byte.
func TestEveryTruncationFails(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
	for n := range len(whole) {
		_, err := readResponse(bufio.NewReader(strings.NewReader(whole[:n])))
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: got %v", whole[:n], err)
		}
	}
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readResponse(bufio.NewReader(strings.NewReader(string(in))))
		if err == nil && (got.size > len(in) || got.status < 100 || got.status > 999) {
			t.Errorf("%q: %+v", in, got)
		}
	})
}

func TestReadResponseDoesNotAllocate(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
	in := strings.NewReader(whole)
	r := bufio.NewReader(in)
	allocs := testing.AllocsPerRun(100, func() {
		in.Reset(whole)
		r.Reset(in)
		if _, err := readResponse(r); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzParseHead holds the two readers of a head against each other.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\nX: y\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if bytes.Contains(head, []byte("\r\n\r\n")) || !bytes.HasSuffix(head, []byte("\r\n")) || bytes.HasPrefix(head, []byte("\r\n")) || len(head) > readBuffer/2 {
			return // no head that is whole
		}
		got, err := parseHead(head)
		if got.size > 1<<20 {
			return
		}
		whole := append(append(bytes.Clone(head), "\r\n"...), make([]byte, max(0, got.size))...)
		want, wantErr := readResponse(bufio.NewReaderSize(bytes.NewReader(whole), readBuffer))
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Errorf("%q: %+v, %v; want %+v, %v", head, got, err, want, wantErr)
		}
	})
}
