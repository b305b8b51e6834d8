package load

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/penguintechinc/marchproxy-alb/bench/origin"
	"github.com/penguintechinc/marchproxy-alb/proxy/eventloop"
)

// Of a frame (RFC 6455 section 5.2): the first byte of a whole binary message, and the lengths that say how many bytes have the
// length.
const (
	binaryFrame        = 0x82
	maskBit            = 0x80
	length16, length64 = 126, 127
)

var (
	errEcho     = errors.New("what comes back is not the frame that was sent")
	errSwitched = errors.New("the upgrade is not accepted (RFC 6455 section 4.1)")
)

// upgrade is what all connections of a run of WebSocket have in common.
type upgrade struct {
	request  []byte
	accepted []byte // what the answer has in acceptField for the key
	frame    []byte // of the client, with its mask
	echo     []byte // the same of the server, without
}

// newUpgrade makes the request and the frames of a run. One key and one mask for all do: neither is there against the server.
func newUpgrade(config Config, body []byte) (*upgrade, error) {
	var random [16 + 4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	key, mask := base64.StdEncoding.EncodeToString(random[:16]), random[16:]
	head := config
	head.Headers = append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + key,
	}, config.Headers...)
	u := &upgrade{request: appendRequest(nil, head, 0), accepted: []byte(origin.WebSocketAccept(key))}
	u.echo = append(appendLength([]byte{binaryFrame}, len(body), 0), body...)
	u.frame = append(appendLength([]byte{binaryFrame}, len(body), maskBit), mask...)
	for i, b := range body {
		u.frame = append(u.frame, b^mask[i%len(mask)])
	}
	return u, nil
}

// acceptField is the name of the field that answers the key.
var acceptField = []byte("sec-websocket-accept")

// accepts reports whether the head of an answer has the right answer to the key.
func (u *upgrade) accepts(head []byte) bool {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, acceptField) {
			return bytes.Equal(bytes.TrimSpace(value), u.accepted)
		}
	}
	return false
}

// appendLength appends the length of a payload in the fewest bytes, with the bit that says whether there is a mask.
func appendLength(b []byte, n int, mask byte) []byte {
	switch {
	case n < length16:
		return append(b, mask|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, mask|length16), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, mask|length64), uint64(n))
}

// webSocketClient is a slot: a connection, upgraded by the first frame that is due and again by the first after it was closed.
type webSocketClient struct {
	d        *driver
	job      eventloop.Job
	pause    eventloop.Timer
	raw      *eventloop.Conn // nil while it is closed
	known    bool            // that it is established
	switched bool
	head     []byte // of the answer to the upgrade, as far as it has come
	got      int    // bytes of the frame in flight that have come back
	due      int64
	busy     bool // a frame is in flight, or waits for the upgrade
}

// addWebSocket makes a connection.
func (d *driver) addWebSocket() { d.slots = append(d.slots, &webSocketClient{d: d}) }

// send implements slot.
func (c *webSocketClient) send(due int64) {
	c.due, c.busy, c.got = due, true, 0
	if c.raw != nil {
		c.raw.Write(c.d.shared.upgrade.frame)
		return
	}
	raw, err := c.d.loop.Dial(c.d.shared.server)
	if err != nil {
		c.fail(stepConnect)
		return
	}
	c.raw, c.known, c.switched, c.head = raw, false, false, c.head[:0]
	c.job.Start(c.d.loop, c)
	raw.SetWaker(&c.job)
	raw.Write(c.d.shared.upgrade.request)
}

// Step implements eventloop.Stepper.
func (c *webSocketClient) Step() {
	raw := c.raw
	if raw == nil {
		return
	}
	if !c.known {
		switch known, err := raw.Connected(); {
		case err != nil:
			c.fail(stepConnect)
			return
		case !known:
			return
		}
		c.known = true
	}
	for range readsPerTurn {
		n, err := raw.Read(c.d.buffer)
		switch {
		case errors.Is(err, eventloop.ErrWouldBlock):
			return
		case err == io.EOF && !c.busy:
			c.close()
			return
		case err != nil:
			c.fail(stepRead)
			return
		}
		if err := c.consume(c.d.buffer[:n]); err != nil {
			c.fail(stepRead)
			return
		}
		if c.raw != raw {
			return
		}
	}
	c.job.Wake()
}

// consume takes what was read.
func (c *webSocketClient) consume(b []byte) error {
	u := c.d.shared.upgrade
	if !c.switched {
		return c.consumeHead(b)
	}
	rest := u.echo[c.got:]
	if !c.busy || len(b) > len(rest) || !bytes.Equal(b, rest[:len(b)]) {
		return errEcho
	}
	if c.got += len(b); c.got < len(u.echo) {
		return nil
	}
	c.busy = false
	c.d.record(c.due)
	c.d.shared.answered(statusOfFrame, uint64(len(c.d.shared.body)), false)
	c.d.over(1)
	c.d.release(c)
	return nil
}

// statusOfFrame is what a frame counts as that has come back.
const statusOfFrame = 200

// consumeHead takes the answer to the upgrade. The server says nothing after it before it has a frame.
func (c *webSocketClient) consumeHead(b []byte) error {
	c.head = append(c.head, b...)
	end := bytes.Index(c.head, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(c.head) > readBuffer:
		return errFields
	case end < 0:
		return nil
	case end+4 < len(c.head):
		return errEcho
	}
	status, _, _ := bytes.Cut(c.head, []byte("\r\n"))
	got, err := parseStatus(status)
	if err != nil {
		return err
	}
	if got != 101 || !c.d.shared.upgrade.accepts(c.head) {
		return fmt.Errorf("status %d: %w", got, errSwitched)
	}
	c.switched = true
	c.raw.Write(c.d.shared.upgrade.frame)
	return nil
}

// fail ends the connection. The next frame follows after a pause, on another.
func (c *webSocketClient) fail(at step) {
	c.close()
	if c.busy {
		c.busy = false
		c.d.shared.failed(at, 1)
		c.d.over(1)
		c.d.loop.SetTimer(&c.pause, errorPause, c)
	}
}

func (c *webSocketClient) close() {
	if c.raw != nil {
		c.job.Stop()
		c.raw.Close()
		c.raw = nil
	}
}

// Expired ends a pause. It implements eventloop.Expirer.
func (c *webSocketClient) Expired(*eventloop.Timer) { c.d.release(c) }

// expire implements slot.
func (c *webSocketClient) expire(before int64) {
	if c.busy && c.due < before {
		c.fail(stepTimeout)
	}
}
