package inspect

// The numbers of TLS that are looked at.
const (
	recordHandshake    = 22      // ContentType of RFC 8446 section 5.1
	versionMajor       = 3       // of ProtocolVersion in all versions that have extensions
	recordHeader       = 5       // type, version, length
	maxRecord          = 1 << 14 // bytes of a plaintext record
	clientHello        = 1       // HandshakeType of RFC 8446 section 4
	handshakeHeader    = 4       // type, length of 24 bits
	randomBytes        = 32
	maxSessionID       = 32
	extensionName      = 0   // RFC 6066 section 3
	extensionProtocols = 16  // RFC 7301 section 3.1
	hostName           = 0   // NameType of RFC 6066 section 3
	maxServerName      = 255 // bytes of a name in DNS (RFC 1035 section 2.3.4)
)

// DefaultMaxHello is how many bytes a ClientHello may take unless it is configured otherwise, in bytes. The largest ones of
// today, with keys for post-quantum key exchange, take under 3 KiB.
const DefaultMaxHello = 16 << 10

// Hello looks for the ClientHello of a TLS client, which may be spread over several records. The zero value is ready.
type Hello struct {
	// ServerName is the name that the client asks for, in lower case, empty when it gives none.
	ServerName []byte
	// Protocols are the application protocols that it offers, each with its length in front, empty when it offers none.
	Protocols []byte

	next   int    // where in the bytes the next record begins
	joined []byte // of the records before it
}

// Inspect looks at all bytes so far, of which there may be up to limit.
func (h *Hello) Inspect(data []byte, limit int) Verdict {
	verdict := h.records(data, limit)
	if verdict == More && len(data) >= limit {
		return TooLarge
	}
	return verdict
}

// records goes through the records that have come whole.
func (h *Hello) records(data []byte, limit int) Verdict {
	for {
		rest := data[h.next:]
		n, verdict := recordLength(rest)
		if verdict != Found {
			return verdict
		}
		content := rest[recordHeader:min(len(rest), recordHeader+n)]
		if len(h.joined) == 0 && len(content) > 0 && content[0] != clientHello {
			return Other
		}
		if len(content) < n {
			return More
		}
		h.next += recordHeader + n
		message := content // the hello is in one record, mostly, and need not be copied
		if len(h.joined) > 0 {
			h.joined = append(h.joined, content...)
			message = h.joined
		}
		if len(message) >= handshakeHeader {
			length := handshakeHeader + int(message[1])<<16 + int(message[2])<<8 + int(message[3])
			if length > limit {
				return TooLarge
			}
			if len(message) >= length {
				return h.parse(message[handshakeHeader:length])
			}
		}
		if len(h.joined) == 0 {
			h.joined = append(h.joined, content...)
		}
	}
}

// recordLength returns the length of the content of the record that b begins with.
func recordLength(b []byte) (int, Verdict) {
	if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != versionMajor {
		return 0, Other
	}
	if len(b) < recordHeader {
		return 0, More
	}
	n := int(b[3])<<8 | int(b[4])
	if n == 0 || n > maxRecord {
		return 0, Other // neither may be, RFC 8446 section 5.1
	}
	return n, Found
}

// parse reads the body of a ClientHello, RFC 8446 section 4.1.2.
func (h *Hello) parse(body []byte) Verdict {
	r := reader{rest: body}
	r.take(2) // legacy_version
	r.take(randomBytes)
	sessionID := r.vector(1)
	suites := r.vector(2)
	methods := r.vector(1)
	if r.short || len(sessionID) > maxSessionID || len(suites) < 2 || len(suites)%2 != 0 || len(methods) == 0 {
		return Other
	}
	if len(r.rest) == 0 {
		return Found // a client without extensions
	}
	extensions := reader{rest: r.vector(2)}
	if r.short || len(r.rest) > 0 {
		return Other
	}
	return h.extensions(&extensions)
}

func (h *Hello) extensions(r *reader) Verdict {
	named, offered := false, false
	for len(r.rest) > 0 {
		kind := r.number(2)
		content := reader{rest: r.vector(2)}
		if r.short {
			return Other
		}
		fits := true
		switch kind {
		case extensionName:
			fits = !named && h.serverName(&content)
			named = true
		case extensionProtocols:
			fits = !offered && h.protocols(&content)
			offered = true
		}
		if !fits {
			return Other
		}
	}
	return Found
}

// serverName reads the extension server_name, and reports whether it is one. Of several names the first of a host counts.
func (h *Hello) serverName(r *reader) bool {
	list := reader{rest: r.vector(2)}
	if r.short || len(r.rest) > 0 || len(list.rest) == 0 {
		return false
	}
	for len(list.rest) > 0 {
		kind, name := list.number(1), list.vector(2)
		if list.short {
			return false
		}
		if kind != hostName || len(h.ServerName) > 0 {
			continue
		}
		if len(name) == 0 || len(name) > maxServerName {
			return false
		}
		for _, c := range name {
			if c == 0 {
				return false
			}
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			h.ServerName = append(h.ServerName, c)
		}
	}
	return true
}

// protocols reads the extension application_layer_protocol_negotiation, and reports whether it is one.
func (h *Hello) protocols(r *reader) bool {
	all := r.vector(2)
	if r.short || len(r.rest) > 0 || len(all) == 0 {
		return false
	}
	for list := (reader{rest: all}); len(list.rest) > 0; {
		if name := list.vector(1); list.short || len(name) == 0 {
			return false
		}
	}
	h.Protocols = append(h.Protocols, all...)
	return true
}

// reader takes values off the beginning of a message. When something is missing it is short, and everything after is empty.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// number takes a number of n bytes.
func (r *reader) number(n int) (v int) {
	for _, b := range r.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// vector takes a vector whose length is in n bytes in front of it.
func (r *reader) vector(n int) []byte { return r.take(r.number(n)) }
