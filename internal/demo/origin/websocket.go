package origin

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// webSocketIdle ends a WebSocket on which nothing came for this long.
	webSocketIdle = 5 * time.Minute
	// handshakeGUID is appended to the client's key, RFC 6455 section 1.3.
	handshakeGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	// keyBytes is how many bytes a client's key encodes, RFC 6455 section 4.1.
	keyBytes = 16
)

// upgrade answers the handshake of RFC 6455 section 4.2 and hands the connection to echo.
func (s *Server) upgrade(ctx *fasthttp.RequestCtx) {
	key := field(ctx, "sec-websocket-key")
	switch {
	case !ctx.IsGet() || !hasToken(field(ctx, "connection"), "upgrade") || !hasToken(field(ctx, "upgrade"), "websocket"):
		ctx.Error("a WebSocket handshake is needed: GET with connection: upgrade and upgrade: websocket\n", fasthttp.StatusUpgradeRequired)
		ctx.Response.Header.Set("upgrade", "websocket")
		return
	case field(ctx, "sec-websocket-version") != "13":
		ctx.Error("only WebSocket version 13 is spoken\n", fasthttp.StatusUpgradeRequired)
		ctx.Response.Header.Set("sec-websocket-version", "13")
		return
	case !validKey(key):
		badRequest(ctx, "sec-websocket-key is not %d bytes in base64", keyBytes)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
	ctx.Response.Header.Set("upgrade", "websocket")
	ctx.Response.Header.Set("connection", "upgrade")
	ctx.Response.Header.Set("sec-websocket-accept", acceptValue(key))
	ctx.Hijack(s.serveWebSocket)
}

// field returns a request header's first value. Names are compared here because the server keeps them as they arrived.
func field(ctx *fasthttp.RequestCtx, name string) string {
	for key, value := range ctx.Request.Header.All() {
		if strings.EqualFold(string(key), name) {
			return string(value)
		}
	}
	return ""
}

// hasToken reports whether a comma-separated list has token, RFC 9110 section 5.6.1.
func hasToken(list, token string) bool {
	for element := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(element), token) {
			return true
		}
	}
	return false
}

func validKey(key string) bool {
	decoded, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(decoded) == keyBytes
}

func acceptValue(key string) string {
	sum := sha1.Sum([]byte(key + handshakeGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *Server) serveWebSocket(conn net.Conn) {
	if !s.sockets.add(conn) {
		return
	}
	defer s.sockets.remove(conn)
	var broken *closeError
	if err := echoFrames(conn); errors.As(err, &broken) {
		// The connection closes right after, whether or not the peer gets to read why.
		_, _ = conn.Write(appendClose(nil, broken.code, broken.reason))
	}
}

// echoFrames sends frames back until the peer closes. It goes frame by frame and looks into none, so that text is not checked to be UTF-8.
func echoFrames(conn net.Conn) error {
	var in, out []byte
	inMessage := false
	for {
		if err := conn.SetDeadline(time.Now().Add(webSocketIdle)); err != nil {
			return err
		}
		f, err := readFrame(conn, in)
		if err != nil {
			return err
		}
		in = f.payload
		if !f.opcode.isControl() {
			// A continuation continues something, and nothing else begins before it ends: RFC 6455 section 5.4.
			if (f.opcode == opContinuation) != inMessage {
				return protocolError("frame out of sequence")
			}
			inMessage = !f.final
		}
		if f.opcode == opPong {
			continue
		}
		reply := f
		if f.opcode == opPing {
			reply.opcode = opPong
		}
		out = appendFrame(out[:0], reply)
		if _, err := conn.Write(out); err != nil {
			return err
		}
		if f.opcode == opClose {
			return nil
		}
	}
}

// webSockets keeps track of hijacked connections, which the HTTP server no longer knows.
type webSockets struct {
	running sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
}

// add records conn, unless closeAll has been called.
func (w *webSockets) add(conn net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	if w.open == nil {
		w.open = make(map[net.Conn]struct{})
	}
	w.open[conn] = struct{}{}
	w.running.Add(1)
	return true
}

func (w *webSockets) remove(conn net.Conn) {
	w.mu.Lock()
	delete(w.open, conn)
	w.mu.Unlock()
	w.running.Done()
}

// closeAll ends every WebSocket and keeps new ones from beginning.
func (w *webSockets) closeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for conn := range w.open {
		// The connection as it is hijacked leaves closing to the HTTP server, which waits for the handler to return.
		if raw, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
			conn = raw.UnsafeConn()
		}
		_ = conn.Close() // it may have been closed by its peer already
	}
}

func (w *webSockets) wait() { w.running.Wait() }
