package http2

import (
	"math"

	"golang.org/x/net/http2"
)

// recvSettings takes a SETTINGS frame (RFC 9113 section 6.5).
func (c *conn) recvSettings(frame *http2.SettingsFrame) fault {
	if frame.IsAck() {
		if c.opts.TableSize < defaultTableSize {
			c.decoder.SetMaxTableSize(c.opts.TableSize)
		}
		return fault{}
	}
	if frame.NumSettings() > maxSettings {
		return fault{http2.ErrCodeEnhanceYourCalm, "SETTINGS frame has more than 32 parameters"}
	}
	if f := c.countSettings(); f.is() {
		return f
	}
	first := !c.peer.received
	if first {
		c.peer.maxStreams = math.MaxUint32 // whatever was assumed
	}
	before := c.peer
	for i := range frame.NumSettings() {
		if f := c.applySetting(frame.Setting(i)); f.is() {
			return f
		}
	}
	c.peer.received = true
	if c.peer.window != before.window {
		if f := c.moveWindows(c.peer.window - before.window); f.is() {
			return f
		}
	}
	c.writeSettingsAck()
	if first || c.peer.maxStreams > before.maxStreams {
		c.owner.settled()
	}
	return fault{}
}

func (c *conn) applySetting(s http2.Setting) fault {
	if err := s.Valid(); err != nil {
		code := http2.ErrCodeProtocol
		if s.ID == http2.SettingInitialWindowSize {
			code = http2.ErrCodeFlowControl
		}
		return fault{code, "setting has a value that it may not have"}
	}
	switch s.ID {
	case http2.SettingHeaderTableSize:
		c.encoder.SetMaxTableSize(s.Val)
	case http2.SettingEnablePush:
		if s.Val != 0 && !c.server {
			return fault{http2.ErrCodeProtocol, "server enables push"} // RFC 9113 section 6.5.2
		}
	case http2.SettingMaxConcurrentStreams:
		c.peer.maxStreams = s.Val
	case http2.SettingInitialWindowSize:
		c.peer.window = int64(s.Val)
	case http2.SettingMaxFrameSize:
		c.peer.maxFrame = minMaxFrameSize // which every peer takes; see there
	case http2.SettingEnableConnectProtocol:
		if s.Val == 0 && c.peer.connect {
			return fault{http2.ErrCodeProtocol, "extended CONNECT is taken back"} // RFC 8441 section 3
		}
		c.peer.connect = s.Val == 1
	}
	return fault{}
}

// moveWindows changes the windows of all streams by the change of the initial one (RFC 9113 section 6.9.2).
func (c *conn) moveWindows(by int64) (f fault) {
	c.streams.each(func(s *Stream) {
		if !s.window.open(by) {
			f = fault{http2.ErrCodeFlowControl, "stream window exceeds 2^31-1"}
			return
		}
		c.enqueue(s)
	})
	return f
}
