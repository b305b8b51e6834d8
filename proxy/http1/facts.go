package http1

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// fact is something a field line said about the message's framing or connection.
type fact uint16

const (
	factHost fact = 1 << iota
	factLength
	factTransferEncoding
	factConnectionList // a Connection field of more than one token waits in Fields
	factClose
	factKeepAlive
	factConnectionUpgrade // Connection names upgrade
	factUpgrade
	factUpgradeUnusable // repeated or h2c
	factExpectContinue
)

// facts is what the field lines of a head said so far about framing and connection.
type facts struct {
	length int64 // Content-Length, if factLength
	tokens int   // of Connection fields not waiting in Fields
	seen   fact
}

func (f *facts) has(what fact) bool { return f.seen&what != 0 }

// contentLength takes a Content-Length field line (RFC 9112 section 6.3).
func (f *facts) contentLength(value []byte) Error {
	if f.has(factLength) {
		return ErrDuplicateContentLength
	}
	n, ok := message.ParseLength(value)
	if !ok {
		return ErrContentLength
	}
	f.length, f.seen = n, f.seen|factLength
	return noError
}

// transferEncoding takes a Transfer-Encoding field line (RFC 9112 section 6.1).
func (f *facts) transferEncoding(value []byte) Error {
	if f.has(factTransferEncoding) || !message.EqualFold(value, "chunked") {
		return ErrTransferEncoding
	}
	f.seen |= factTransferEncoding
	return noError
}

// connection takes a Connection field line (RFC 9110 section 7.6.1). A list waits in fields until all field lines are
// known, since it may name any of them.
func (f *facts) connection(value []byte, fields *message.Fields) {
	if what := connectionOption(value); what != 0 {
		f.seen |= what
		f.tokens++
		return
	}
	f.seen |= factConnectionList
	fields.Add(message.NameConnection, value)
}

// connectionOption returns the fact an option that is not a field name stands for, 0 for others.
func connectionOption(token []byte) fact {
	switch {
	case message.EqualFold(token, "keep-alive"):
		return factKeepAlive
	case message.EqualFold(token, "close"):
		return factClose
	case message.EqualFold(token, "upgrade"):
		return factConnectionUpgrade
	default:
		return 0
	}
}

// upgrade takes an Upgrade field line (RFC 9110 section 7.8).
func (f *facts) upgrade(value []byte) {
	if f.has(factUpgrade) || len(value) == 0 || listHas(value, "h2c") {
		f.seen |= factUpgradeUnusable
	}
	f.seen |= factUpgrade
}

// closes reports whether the sender closes the connection after the message (RFC 9112 section 9.3).
func (f *facts) closes(version message.Version) bool {
	return f.has(factClose) || version == message.HTTP10 && !f.has(factKeepAlive)
}

// listHas reports whether the list value has the lower-case token as an element.
func listHas(list []byte, token string) bool {
	for list != nil {
		var element []byte
		element, list = nextElement(list)
		if message.EqualFold(element, token) {
			return true
		}
	}
	return false
}
