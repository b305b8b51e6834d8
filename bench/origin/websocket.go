package origin

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
)

// webSocketGUID is what a key is answered with (RFC 6455 section 1.3).
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// WebSocketAccept answers the key of a client (RFC 6455 section 4.2.2).
func WebSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + webSocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoFrames takes the connection over until the client or the server ends it.
func echoFrames(w http.ResponseWriter, r *http.Request) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(r.Context(), func() { conn.Close() })()
	fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		WebSocketAccept(r.Header.Get("Sec-WebSocket-Key")))
	var frame []byte
	for err := stream.Flush(); err == nil; err = stream.Flush() {
		if frame, err = readFrame(stream.Reader, frame); err != nil {
			return
		}
		stream.Write(frame) // Flush says it again if that fails
	}
}

const (
	// maskBit is set in the second byte of each frame of a client, which a mask of maskSize bytes follows.
	maskBit  = 0x80
	maskSize = 4
	// Lengths that say how many bytes have the length.
	length16, length64 = 126, 127
)

// readFrame reads a frame of a client and returns it as a server sends it, without the mask (RFC 6455 section 5.2), in the array
// of frame as far as that is large enough.
func readFrame(in *bufio.Reader, frame []byte) ([]byte, error) {
	head := 2
	frame = resize(frame, head)
	if _, err := io.ReadFull(in, frame); err != nil {
		return frame, err
	}
	if frame[1]&maskBit == 0 {
		return frame, fmt.Errorf("frame of a client without a mask")
	}
	frame[1] &^= maskBit
	size := int(frame[1])
	if size >= length16 {
		if head += 2; size == length64 {
			head += 6
		}
		frame = resize(frame, head)
		if _, err := io.ReadFull(in, frame[2:]); err != nil {
			return frame, err
		}
		if size == length16 {
			size = int(binary.BigEndian.Uint16(frame[2:]))
		} else if n := binary.BigEndian.Uint64(frame[2:]); n <= maxMessage {
			size = int(n)
		} else {
			return frame, fmt.Errorf("frame of %d bytes, want at most %d", n, maxMessage)
		}
	}
	var mask [maskSize]byte
	if _, err := io.ReadFull(in, mask[:]); err != nil {
		return frame, err
	}
	frame = resize(frame, head+size)
	payload := frame[head:]
	_, err := io.ReadFull(in, payload)
	for i := range payload {
		payload[i] ^= mask[i%maskSize]
	}
	return frame, err
}
