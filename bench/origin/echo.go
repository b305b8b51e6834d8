package origin

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

const (
	// grpcPrefix is the length of what comes before a message: not compressed, and its length (gRPC over HTTP/2,
	// "Length-Prefixed-Message").
	grpcPrefix = 5
	// maxMessage bounds a message that is echoed, far above any scenario's.
	maxMessage = 1 << 20
)

// ServeEcho is the origin of messages: it sends back each that it gets, as it comes, until ctx ends. A request of content type
// application/grpc, in HTTP/2 with prior knowledge, is a call of which each message is answered with itself; it ends with
// grpc-status: 0. A request for an upgrade to websocket gets it, and each of its frames comes back, without the mask. A GET of a
// path that ParseSize knows is answered with that many bytes, a POST with its body.
func ServeEcho(ctx context.Context, ln net.Listener) error {
	return serveBoth(ctx, ln, "echo", echo)
}

func echo(w http.ResponseWriter, r *http.Request) {
	n, ok := ParseSize([]byte(r.URL.EscapedPath()))
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		echoFrames(w, r)
	case r.Header.Get("Content-Type") == "application/grpc":
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", grpcStatus(echoMessages(w, r.Body)))
	case r.Method == http.MethodPost:
		echoBody(w, r)
	case ok && n <= maxMessage:
		w.Header().Set("Content-Length", strconv.Itoa(n))
		io.WriteString(w, strings.Repeat("x", n))
	default:
		http.NotFound(w, r)
	}
}

// echoBody answers a request that is whole.
func echoBody(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// grpcStatus is OK, or INTERNAL where messages were broken.
func grpcStatus(err error) string {
	if err != nil {
		return "13"
	}
	return "0"
}

// echoMessages answers each message of a call.
func echoMessages(w http.ResponseWriter, body io.Reader) error {
	flush := http.NewResponseController(w)
	in := bufio.NewReader(body)
	message := make([]byte, grpcPrefix)
	for {
		if _, err := io.ReadFull(in, message[:grpcPrefix]); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		size := int(binary.BigEndian.Uint32(message[1:grpcPrefix]))
		if size > maxMessage {
			return fmt.Errorf("message of %d bytes, want at most %d", size, maxMessage)
		}
		message = resize(message, grpcPrefix+size)
		if _, err := io.ReadFull(in, message[grpcPrefix:]); err != nil {
			return err
		}
		if _, err := w.Write(message); err != nil {
			return err
		}
		if err := flush.Flush(); err != nil {
			return err
		}
	}
}

// resize returns b with a length of n, and what it began with.
func resize(b []byte, n int) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	grown := make([]byte, n)
	copy(grown, b)
	return grown
}
