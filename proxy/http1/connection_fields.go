package http1

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// connectionFields are the field names that describe a connection: never forwarded, never taken from Fields on writing.
// It is never written.
var connectionFields = message.NewNameSet(
	message.NameConnection, message.NameHTTP2Settings, message.NameKeepAlive, message.NameProxyConnection,
	message.NameTransferEncoding, message.NameUpgrade)

// protectedFields are the names a client must not have removed by naming them in Connection: they say who the client
// is. It is never written.
var protectedFields = message.NewNameSet(
	message.NameXForwardedFor, message.NameXForwardedHost, message.NameXForwardedProto)

// applyConnection removes from fields what the Connection fields name, and the Connection fields (RFC 9110 section
// 7.6.1). protect refuses to have protectedFields removed, which is for requests.
func (f *facts) applyConnection(fields *message.Fields, protect bool) Error {
	if !f.has(factConnectionList) {
		if f.tokens >= maxConnectionTokens {
			return ErrConnectionField
		}
		return noError
	}
	var tokens [maxConnectionTokens][]byte
	n, err := f.connectionTokens(fields, &tokens, protect)
	if err != noError {
		return err
	}
	fields.Del(message.NameConnection)
	for _, token := range tokens[:n] {
		// TE in a request was reduced to trailers, which is kept: its sender has to name it in Connection.
		if !protect || string(token) != "te" {
			fields.DelName(token)
		}
	}
	return noError
}

// connectionTokens gathers the field names that the Connection fields list, in lower case, and notes the other options.
func (f *facts) connectionTokens(fields *message.Fields, tokens *[maxConnectionTokens][]byte, protect bool) (n int, err Error) {
	count := f.tokens
	for _, field := range fields.All() {
		if field.ID != message.NameConnection {
			continue
		}
		for list := field.Value; list != nil; {
			var token []byte
			token, list = nextElement(list)
			if count++; count >= maxConnectionTokens {
				return 0, ErrConnectionField
			}
			if what := connectionOption(token); what != 0 || len(token) == 0 {
				f.seen |= what
				continue
			}
			if !lowerToken(token) || protect && protectedFields.Contains(message.LookupName(token)) {
				return 0, ErrConnectionField
			}
			tokens[n] = token
			n++
		}
	}
	return n, noError
}

// lowerToken puts b in lower case in place and reports whether it is a token. A pseudo-header, with its colon, is none.
func lowerToken(b []byte) bool {
	for i, c := range b {
		if b[i] = tokenLower[c]; b[i] == 0 {
			b[i] = c
			return false
		}
	}
	return true
}
