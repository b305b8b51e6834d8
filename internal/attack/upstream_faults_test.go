package attack

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/internal/harness"
)

// respond sends a head of the fields, names and values in turn.
func respond(end bool, fields ...string) func(*harness.H2Peer, uint32) {
	return func(p *harness.H2Peer, id uint32) { p.Headers(id, end, fields...) }
}

// behind sends a head with status 200 and then the rest.
func behind(rest func(p *harness.H2Peer, id uint32), fields ...string) func(*harness.H2Peer, uint32) {
	return func(p *harness.H2Peer, id uint32) {
		p.Headers(id, false, append([]string{":status", "200"}, fields...)...)
		rest(p, id)
	}
}

// on makes a mistake that has nothing to do with the request.
func on(mistake func(p *harness.H2Peer)) func(*harness.H2Peer, uint32) {
	return func(p *harness.H2Peer, _ uint32) { mistake(p) }
}

// payload sends a frame whose payload is a string.
func payload(kind http2.FrameType, flags http2.Flags, streamID uint32, text string) func(*harness.H2Peer, uint32) {
	return on(func(p *harness.H2Peer) { p.Raw(kind, flags, streamID, []byte(text)) })
}

// headFaults are heads of responses that are none, or not whole.
func headFaults() []hostFault {
	var all []hostFault
	malformed := func(name string, fields ...string) {
		all = append(all, hostFault{
			name: name, send: respond(true, fields...), got: badGateway, told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
		})
	}
	for _, status := range []string{"", "20", "2000", "099", "600", "999", "abc", "+20", "2 0", "101", "200 OK", "-20", "1e2"} {
		malformed(fmt.Sprintf(":status %q", status), ":status", status)
	}
	for _, f := range []harness.Field{
		{Name: "X-A", Value: "1"}, {Name: "x a", Value: "1"}, {Name: "x:a", Value: "1"}, {Name: "", Value: "1"}, {Name: "x\x00", Value: "1"},
		{Name: "x-a", Value: "1\r\nset-cookie: evil=1"}, {Name: "x-a", Value: "1\n"}, {Name: "x-a", Value: "\x001"}, {Name: "x-a", Value: " 1"},
		{Name: "x-a", Value: "1\t"}, {Name: "x-a", Value: "a\x7f"},
		{Name: "connection", Value: "close"}, {Name: "keep-alive", Value: "timeout=1"}, {Name: "proxy-connection", Value: "close"},
		{Name: "transfer-encoding", Value: "chunked"}, {Name: "upgrade", Value: "h2c"},
		{Name: "content-length", Value: "+0"}, {Name: "content-length", Value: "0, 0"}, {Name: "content-length", Value: ""},
		{Name: "content-length", Value: "1"}, {Name: ":status", Value: "200"}, {Name: ":path", Value: "/"}, {Name: ":evil", Value: "1"},
	} {
		malformed(fmt.Sprintf("%q: %q", f.Name, f.Value), ":status", "200", f.Name, f.Value)
	}
	malformed("no :status", "x-a", "1")
	malformed("empty")
	malformed(":status behind another field", "x-a", "1", ":status", "200")
	malformed(":method", ":method", "GET", ":status", "200")
	malformed("content-length twice", ":status", "200", "content-length", "0", "content-length", "0")
	malformed("informational and END_STREAM", ":status", "103")
	all = append(all, hostFault{
		name: "DATA before the head", got: badGateway, told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
		send: func(p *harness.H2Peer, id uint32) { p.Data(id, false, "x") },
	}, hostFault{
		name: "DATA behind an informational head", got: badGateway, told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
		send: func(p *harness.H2Peer, id uint32) {
			p.Headers(id, false, ":status", "103")
			p.Data(id, true, "x")
		},
	}, hostFault{
		name: "a thousand informational heads", got: badGateway, told: onStream(http2.ErrCodeProtocol),
		// The proxy gives up before it hears that the codec has.
		stats: map[string]uint64{"upstream_cx_protocol_error": 1, "upstream_rq_rx_reset": 0},
		send: func(p *harness.H2Peer, id uint32) {
			for range 1000 {
				p.Headers(id, false, ":status", "103", "link", "</a>")
			}
		},
	})
	return all
}

// bodyFaults are bodies that are not what their heads say.
func bodyFaults() []hostFault {
	body := func(parts ...string) func(*harness.H2Peer, uint32) {
		return func(p *harness.H2Peer, id uint32) {
			for i, part := range parts {
				p.Data(id, i == len(parts)-1, part)
			}
		}
	}
	malformed := func(name string, send func(*harness.H2Peer, uint32)) hostFault {
		return hostFault{name: name, send: send, got: broken, told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error")}
	}
	return []hostFault{
		malformed("shorter than content-length", behind(body("12", "34"), "content-length", "5")),
		malformed("longer than content-length", behind(body("123", "456"), "content-length", "5")),
		malformed("empty instead of content-length", behind(body(""), "content-length", "5")),
		malformed("content-length 0", behind(body("1"), "content-length", "0")),
		{
			name: "204 with a body", told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
			got: answer{204, true, "204 UPE upstream_reset_after_response_started{protocol_error}"},
			send: func(p *harness.H2Peer, id uint32) {
				p.Headers(id, false, ":status", "204")
				p.Data(id, true, "x")
			},
		},
		{
			name: "HEAD with a body", method: "HEAD", told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
			got:  answer{200, true, "200 UPE upstream_reset_after_response_started{protocol_error}"},
			send: behind(body("x"), "content-length", "1"),
		},
		{
			name: "RST_STREAM before the head", got: reset, told: nothing,
			send: func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeInternal) },
		},
		{
			name: "RST_STREAM behind the head", told: nothing,
			got:  answer{200, false, "200 UR upstream_reset_after_response_started{remote_reset}"},
			send: behind(func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeNo) }),
		},
		{
			name: "RST_STREAM with REFUSED_STREAM behind the head", told: nothing,
			got:  answer{200, false, "200 UR upstream_reset_after_response_started{remote_refused_stream_reset}"},
			send: behind(func(p *harness.H2Peer, id uint32) { p.Reset(id, http2.ErrCodeRefusedStream) }),
		},
		{
			name: "DATA behind END_STREAM", got: served, told: onConnection(http2.ErrCodeStreamClosed),
			send: func(p *harness.H2Peer, id uint32) {
				p.Headers(id, true, ":status", "200")
				p.Data(id, true, "HTTP/1.1 200 OK\r\n\r\n")
			},
		},
		{
			name: "a second response behind END_STREAM", got: served, told: onConnection(http2.ErrCodeStreamClosed),
			send: func(p *harness.H2Peer, id uint32) {
				p.Headers(id, true, ":status", "200")
				p.Headers(id, true, ":status", "200")
			},
		},
	}
}

// trailerFaults are field blocks behind the head.
func trailerFaults() []hostFault {
	var all []hostFault
	malformed := func(name string, end bool, fields ...string) {
		all = append(all, hostFault{
			name: name, got: broken, told: onStream(http2.ErrCodeProtocol), stats: counts("rx_messaging_error"),
			send: behind(func(p *harness.H2Peer, id uint32) {
				p.Data(id, false, "x")
				p.Headers(id, end, fields...)
			}),
		})
	}
	malformed("no END_STREAM", false, "x-t", "1")
	malformed("a second head", false, ":status", "200")
	malformed("a second head that ends the stream", true, ":status", "200")
	malformed("a pseudo-header field", true, ":path", "/")
	malformed("upper case", true, "X-T", "1")
	malformed("CR LF", true, "x-t", "1\r\nx-evil: 1")
	malformed("NUL", true, "x-t", "\x00")
	malformed("empty name", true, "", "1")
	malformed("connection", true, "connection", "close")
	malformed("transfer-encoding", true, "transfer-encoding", "chunked")
	tooLarge := func(name string, fields ...string) {
		all = append(all, hostFault{
			name: name, got: broken, told: onStream(http2.ErrCodeEnhanceYourCalm), stats: counts("header_overflow"),
			send: behind(func(p *harness.H2Peer, id uint32) { p.Headers(id, true, fields...) }),
		})
	}
	tooLarge("too many", slices.Repeat([]string{"x-t", "1"}, config.DefaultMaxResponseHdrs+1)...)
	tooLarge("too large", "x-t", counted(config.DefaultMaxResponseKB<<10))
	return all
}

// blockFaults are field blocks that cannot be decoded, or that become too large.
func blockFaults() []hostFault {
	block := func(parts ...[]byte) func(*harness.H2Peer, uint32) {
		return func(p *harness.H2Peer, id uint32) { p.HeadersBlock(id, true, true, slices.Concat(parts...)) }
	}
	status := harness.H2Indexed(8) // :status 200
	undecodable := func(name string, parts ...[]byte) hostFault {
		return hostFault{name: name, send: block(parts...), got: badGateway, told: onConnection(http2.ErrCodeCompression)}
	}
	tooLarge := func(name string, send func(*harness.H2Peer, uint32)) hostFault {
		return hostFault{name: name, send: send, got: badGateway, told: onStream(http2.ErrCodeEnhanceYourCalm), stats: counts("header_overflow")}
	}
	const entry, references = 4000, 10000 // the entry fits the table, and both fit a frame
	return []hostFault{
		undecodable("index 0", status, harness.H2Indexed(0)),
		undecodable("index of nothing", status, harness.H2Indexed(62)),
		undecodable("integer without an end", status, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
		undecodable("block that breaks off", status, []byte("\x00\x05x-")),
		undecodable("Huffman code with EOS", status, []byte("\x00\x84\xff\xff\xff\xff\x01a")),
		undecodable("Huffman code with padding of a byte", status, []byte("\x00\x82\x1f\xff\x01a")),
		undecodable("table larger than allowed", harness.H2TableSize(1<<16), status),
		undecodable("change of the table behind a field", status, harness.H2TableSize(0)),
		tooLarge("many fields", respond(true, slices.Concat([]string{":status", "200"}, slices.Repeat([]string{"x-a", "1"}, 100))...)),
		tooLarge("a large value", respond(true, ":status", "200", "x-a", counted(config.DefaultMaxResponseKB<<10))),
		tooLarge("large entry, many references", block(status,
			harness.H2Insert("x-a", strings.Repeat("a", entry)), []byte(strings.Repeat(string(harness.H2Indexed(62)), references)))),
		tooLarge("small entry, many references", block(status,
			harness.H2Insert("a", ""), []byte(strings.Repeat(string(harness.H2Indexed(62)), references)))),
		{
			name: "CONTINUATION without an end", got: badGateway, told: onConnection(http2.ErrCodeEnhanceYourCalm), stats: counts("header_overflow"),
			send: func(p *harness.H2Peer, id uint32) {
				p.HeadersBlock(id, true, false, status)
				for range 1000 {
					p.Continuation(id, false, harness.H2Literal("x-a", counted(1000)))
				}
			},
		},
		{
			name: "interrupted", got: badGateway, told: onConnection(http2.ErrCodeProtocol),
			send: func(p *harness.H2Peer, id uint32) {
				p.HeadersBlock(id, true, false, status)
				p.Ping("")
			},
		},
		{
			name: "CONTINUATION of another stream", got: badGateway, told: onConnection(http2.ErrCodeProtocol),
			send: func(p *harness.H2Peer, id uint32) {
				p.HeadersBlock(id, true, false, status)
				p.Continuation(id+2, true, nil)
			},
		},
		{
			name: "CONTINUATION without HEADERS", got: badGateway, told: onConnection(http2.ErrCodeProtocol),
			send: func(p *harness.H2Peer, id uint32) { p.Continuation(id, true, status) },
		},
	}
}

// frameFaults are frames of a wrong size, on a wrong stream or of a type that a server must not send.
func frameFaults() []hostFault {
	ends := func(name string, code http2.ErrCode, send func(*harness.H2Peer, uint32)) hostFault {
		return hostFault{name: name, send: send, got: badGateway, told: onConnection(code)}
	}
	const size, protocol = http2.ErrCodeFrameSize, http2.ErrCodeProtocol
	return []hostFault{
		ends("PUSH_PROMISE", protocol, func(p *harness.H2Peer, id uint32) { p.PushPromise(id, 2, harness.H2Head("GET", "/evil")...) }),
		ends("HEADERS on stream 0", protocol, on(func(p *harness.H2Peer) { p.Headers(0, true, ":status", "200") })),
		ends("HEADERS on a stream of the host's", protocol, on(func(p *harness.H2Peer) { p.Headers(2, true, ":status", "200") })),
		ends("HEADERS on an idle stream", protocol, func(p *harness.H2Peer, id uint32) { p.Headers(id+2, true, ":status", "200") }),
		ends("DATA on stream 0", protocol, on(func(p *harness.H2Peer) { p.Data(0, true, "x") })),
		ends("DATA on an idle stream", protocol, func(p *harness.H2Peer, id uint32) { p.Data(id+2, true, "x") }),
		ends("RST_STREAM on stream 0", protocol, on(func(p *harness.H2Peer) { p.Reset(0, http2.ErrCodeCancel) })),
		ends("RST_STREAM on an idle stream", protocol, func(p *harness.H2Peer, id uint32) { p.Reset(id+2, http2.ErrCodeCancel) }),
		ends("RST_STREAM of 3 bytes", size, func(p *harness.H2Peer, id uint32) { p.Raw(http2.FrameRSTStream, 0, id, make([]byte, 3)) }),
		ends("PING on a stream", protocol, payload(http2.FramePing, 0, 1, "12345678")),
		ends("PING of 7 bytes", size, payload(http2.FramePing, 0, 0, "1234567")),
		ends("GOAWAY on a stream", protocol, payload(http2.FrameGoAway, 0, 1, "\x00\x00\x00\x01\x00\x00\x00\x00")),
		ends("GOAWAY of 7 bytes", size, payload(http2.FrameGoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00")),
		ends("PRIORITY of 4 bytes", size, payload(http2.FramePriority, 0, 1, "\x00\x00\x00\x00")),
		ends("padding longer than HEADERS", protocol, payload(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 1, "\x05\x88")),
		ends("padding longer than DATA", protocol, payload(http2.FrameData, http2.FlagDataPadded, 1, "\x05x")),
		ends("DATA too large", size, func(p *harness.H2Peer, id uint32) { p.Data(id, false, letters(16<<10+1)) }),
		ends("HEADERS too large", size, func(p *harness.H2Peer, id uint32) {
			p.HeadersBlock(id, true, true, harness.H2Literal("x-a", letters(16<<10)))
		}),
		ends("unknown type too large", size, on(func(p *harness.H2Peer) { p.Raw(0xee, 0, 0, make([]byte, 16<<10+1)) })),
		{
			name: "unknown types, ALTSVC, ORIGIN and METADATA", got: served, told: nothing,
			send: func(p *harness.H2Peer, id uint32) {
				for kind := http2.FrameContinuation + 1; kind != 0; kind++ {
					for _, stream := range []uint32{0, id, id + 2} {
						p.Raw(kind, 0xff, stream, []byte("rubbish"))
					}
				}
				p.Headers(id, true, ":status", "200")
			},
		},
	}
}

// settingsFaults are SETTINGS that must not be (row 71).
func settingsFaults() []hostFault {
	ends := func(name string, code http2.ErrCode, settings ...http2.Setting) hostFault {
		return hostFault{
			name: name, send: on(func(p *harness.H2Peer) { p.Settings(settings...) }), got: badGateway, told: onConnection(code),
		}
	}
	one := func(id http2.SettingID, value uint32) http2.Setting { return http2.Setting{ID: id, Val: value} }
	const protocol, flow, calm = http2.ErrCodeProtocol, http2.ErrCodeFlowControl, http2.ErrCodeEnhanceYourCalm
	raw := func(name string, code http2.ErrCode, flags http2.Flags, stream uint32, text string) hostFault {
		return hostFault{
			name: name, send: payload(http2.FrameSettings, flags, stream, text), got: badGateway, told: onConnection(code),
		}
	}
	served := func(name string, settings ...http2.Setting) hostFault {
		return hostFault{name: name, got: served, told: nothing, send: func(p *harness.H2Peer, id uint32) {
			p.Settings(settings...)
			p.Headers(id, true, ":status", "200")
		}}
	}
	return []hostFault{
		ends("MAX_FRAME_SIZE 0", protocol, one(http2.SettingMaxFrameSize, 0)),
		ends("MAX_FRAME_SIZE 2^14-1", protocol, one(http2.SettingMaxFrameSize, 1<<14-1)),
		ends("MAX_FRAME_SIZE 2^24", protocol, one(http2.SettingMaxFrameSize, 1<<24)),
		ends("MAX_FRAME_SIZE 2^32-1", protocol, one(http2.SettingMaxFrameSize, 1<<32-1)),
		ends("INITIAL_WINDOW_SIZE 2^31", flow, one(http2.SettingInitialWindowSize, 1<<31)),
		ends("INITIAL_WINDOW_SIZE 2^32-1", flow, one(http2.SettingInitialWindowSize, 1<<32-1)),
		ends("ENABLE_PUSH 1", protocol, one(http2.SettingEnablePush, 1)),
		ends("ENABLE_PUSH 2", protocol, one(http2.SettingEnablePush, 2)),
		ends("ENABLE_CONNECT_PROTOCOL 2", protocol, one(http2.SettingEnableConnectProtocol, 2)),
		ends("ENABLE_CONNECT_PROTOCOL taken back", protocol,
			one(http2.SettingEnableConnectProtocol, 1), one(http2.SettingEnableConnectProtocol, 0)),
		ends("more of them than there are", calm, slices.Repeat([]http2.Setting{one(http2.SettingHeaderTableSize, 1)}, 33)...),
		raw("on a stream", protocol, 0, 1, ""),
		raw("of 5 bytes", http2.ErrCodeFrameSize, 0, 0, "\x00\x01\x00\x00\x00"),
		raw("acknowledgement with a payload", http2.ErrCodeFrameSize, http2.FlagSettingsAck, 0, "\x00\x01\x00\x00\x00\x00"),
		served("MAX_FRAME_SIZE 2^24-1", one(http2.SettingMaxFrameSize, 1<<24-1)),
		served("HEADER_TABLE_SIZE 0 and 2^32-1", one(http2.SettingHeaderTableSize, 0), one(http2.SettingHeaderTableSize, 1<<32-1)),
		served("HEADER_TABLE_SIZE 0", one(http2.SettingHeaderTableSize, 0)),
		served("MAX_HEADER_LIST_SIZE 0", one(http2.SettingMaxHeaderListSize, 0)),
		served("INITIAL_WINDOW_SIZE 2^31-1", one(http2.SettingInitialWindowSize, 1<<31-1)),
		served("MAX_CONCURRENT_STREAMS 2^32-1", one(http2.SettingMaxConcurrentStreams, 1<<32-1)),
		served("ENABLE_PUSH 0", one(http2.SettingEnablePush, 0)),
		served("unknown", one(0xabcd, 1<<32-1), one(0, 0)),
	}
}

// windowFaults are credit that is none, and more data than there is credit for.
func windowFaults() []hostFault {
	const protocol, flow, size = http2.ErrCodeProtocol, http2.ErrCodeFlowControl, http2.ErrCodeFrameSize
	const most = 1<<31 - 1
	return []hostFault{
		{
			name: "connection by 0", got: badGateway, told: onConnection(protocol),
			send: on(func(p *harness.H2Peer) { p.WindowUpdate(0, 0) }),
		},
		{
			name: "connection too large", got: badGateway, told: onConnection(flow),
			send: on(func(p *harness.H2Peer) { p.WindowUpdate(0, most) }),
		},
		{
			name: "of 3 bytes", got: badGateway, told: onConnection(size), send: payload(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x01"),
		},
		{
			name: "idle stream", got: badGateway, told: onConnection(protocol),
			send: func(p *harness.H2Peer, id uint32) { p.WindowUpdate(id+2, 1) },
		},
		{
			name: "stream by 0", got: badGateway, told: onStream(protocol),
			send: func(p *harness.H2Peer, id uint32) { p.WindowUpdate(id, 0) },
		},
		{
			name: "stream too large", got: badGateway, told: onStream(flow),
			send: func(p *harness.H2Peer, id uint32) { p.WindowUpdate(id, most) },
		},
		{
			name: "initial window that makes a stream's too large", got: badGateway, told: onConnection(flow),
			send: func(p *harness.H2Peer, id uint32) {
				p.WindowUpdate(id, 1<<20)
				p.Settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: most})
			},
		},
	}
}
