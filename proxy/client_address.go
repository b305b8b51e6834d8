package proxy

import (
	"bytes"
	"errors"
	"net/netip"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
	"github.com/penguintechinc/marchproxy-alb/proxy/route"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

// maxTrustedProxies bounds how many entries of x-forwarded-for are held against the addresses of trusted proxies: no request has
// passed as many.
const maxTrustedProxies = 64

// originalIP is a compiled config.OriginalIP.
type originalIP struct {
	config *config.OriginalIP
	field  route.Field // of a custom header
}

func compileOriginalIPs(list []config.OriginalIP) (out []originalIP) {
	for i := range list {
		o := originalIP{config: &list[i]}
		if o.config.Header != "" {
			o.field = route.NewField(o.config.Header)
		}
		out = append(out, o)
	}
	return out
}

// setForwardedFor finds out who the client is, notes that in x-forwarded-for, and decides whether the request is internal: it has
// passed no other proxy and comes from an address that is said to be ours. It returns the verdict of a request that is refused as its
// client is not known.
func (x *exchange) setForwardedFor(m *config.HTTPConnectionManager) verdict {
	if len(x.manager.originalIPs) > 0 {
		return x.detectClient()
	}
	passedOn := x.request.Fields.Has(message.NameXForwardedFor)
	if len(x.manager.internal) > 0 || m.InternalUnixSockets {
		x.internal = x.isInternal(m, passedOn)
	}
	if m.UseRemoteAddress && !m.SkipXFFAppend {
		x.appendForwardedFor()
	}
	return verdictNone
}

func (x *exchange) appendForwardedFor() {
	if client := x.conn.forwardedText(); len(client) > 0 {
		x.appendToList(message.NameXForwardedFor, client)
	}
}

// detectClient finds out who the client is by original_ip_detection_extensions, of which the first that knows counts.
func (x *exchange) detectClient() verdict {
	for i := range x.manager.originalIPs {
		o := &x.manager.originalIPs[i]
		address, trusted := o.detect(&x.request, x.conn.remoteAddr().Addr())
		switch {
		case address.IsValid():
			x.detected = netip.AddrPortFrom(address, 0)
			x.internal = trusted && x.inInternal(address)
			if o.config.Append {
				x.appendForwardedFor()
			}
			return verdictNone
		case o.config.RejectStatus != 0:
			x.chain.http.Inc(stats.HTTPDownstreamRqRejectedViaIpDetection)
			x.refused.status = o.config.RejectStatus
			return verdictNoOriginalIP
		}
	}
	return verdictNone
}

// detect returns the client's address, and whether it is good for telling internal requests; the zero value when it does not know. peer
// is who the connection comes from, which is not valid on a Unix domain socket.
func (o *originalIP) detect(req *message.Request, peer netip.Addr) (address netip.Addr, trusted bool) {
	switch {
	case o.config.Header != "":
		value, _ := o.field.OfRequest(req)
		address, _ = parseAddress(value)
		return address, o.config.Trusted
	case len(o.config.Proxies) == 0:
		entries := fromRight(&req.Fields, message.NameXForwardedFor)
		address, _ = parseAddress(entries.skip(int(o.config.Hops)))
		_, more := entries.next()
		return address, o.config.Hops == 0 && !more
	case peer.IsValid() && contains(o.config.Proxies, peer):
		return o.beforeProxies(&req.Fields)
	}
	return netip.Addr{}, false
}

// beforeProxies returns the last entry of x-forwarded-for that is not a trusted proxy, or the first one that is when all are.
func (o *originalIP) beforeProxies(fields *message.Fields) (address netip.Addr, trusted bool) {
	entries := fromRight(fields, message.NameXForwardedFor)
	for seen := 1; seen <= maxTrustedProxies; seen++ {
		entry, ok := entries.nextFilled()
		if !ok {
			return address, true
		}
		found, err := parseAddress(entry)
		if err != nil {
			return address, false
		}
		if address = found; !contains(o.config.Proxies, address) {
			_, more := entries.nextFilled()
			return address, seen == 1 && !more
		}
	}
	return address, false
}

// externalAddress returns the text of the client's address as far as it is trusted.
func (x *exchange) externalAddress(m *config.HTTPConnectionManager) []byte {
	if m.XFFNumTrustedHops == 0 {
		return x.conn.peerText()
	}
	start := len(x.arena)
	x.arena = x.client().Addr().AppendTo(x.arena)
	return x.added(start)
}

// client returns the client's address: what was detected, what the last trusted proxy before us noted in x-forwarded-for, or the
// peer where that is nothing that is an address. A proxy that is trusted, or the listener itself with use_remote_address, has added
// one entry each at the right.
func (x *exchange) client() netip.AddrPort {
	m, peer := x.manager.config, x.conn.remoteAddr()
	if len(x.manager.originalIPs) > 0 {
		if x.detected.IsValid() {
			return x.detected
		}
		return peer
	}
	back := int(m.XFFNumTrustedHops)
	if m.UseRemoteAddress {
		if m.XFFNumTrustedHops == 0 {
			return peer
		}
		if m.SkipXFFAppend {
			back--
		}
	}
	entries := fromRight(&x.request.Fields, message.NameXForwardedFor)
	address, err := parseAddress(entries.skip(back))
	if err != nil {
		return peer
	}
	return netip.AddrPortFrom(address, 0)
}

// errNoAddress says that there is no text that could be an address, which is no reason to make an error.
var errNoAddress = errors.New("no address")

// parseAddress is netip.ParseAddr without a copy of text. Its error must not be kept: it refers to text.
func parseAddress(text []byte) (netip.Addr, error) {
	if len(text) == 0 {
		return netip.Addr{}, errNoAddress
	}
	return netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text)))
}

// entriesFromRight are the entries of a list field from the last to the first, over all its lines.
type entriesFromRight struct {
	id    message.NameID
	lines []message.Field // that are left
	value []byte          // what is left of the line, with inside
	in    bool
}

func fromRight(fields *message.Fields, id message.NameID) entriesFromRight {
	return entriesFromRight{id: id, lines: fields.All()}
}

// next returns the next entry without the whitespace around it.
func (e *entriesFromRight) next() (entry []byte, ok bool) {
	for !e.in {
		last := len(e.lines) - 1
		if last < 0 {
			return nil, false
		}
		if e.lines[last].ID == e.id {
			e.value, e.in = e.lines[last].Value, true
		}
		e.lines = e.lines[:last]
	}
	comma := bytes.LastIndexByte(e.value, ',')
	entry = bytes.TrimSpace(e.value[comma+1:])
	if e.in = comma >= 0; e.in {
		e.value = e.value[:comma]
	}
	return entry, true
}

// nextFilled returns the next entry that is not empty.
func (e *entriesFromRight) nextFilled() (entry []byte, ok bool) {
	for entry, ok = e.next(); ok && len(entry) == 0; {
		entry, ok = e.next()
	}
	return entry, ok
}

// skip returns the entry after the next n ones, nil when there are fewer.
func (e *entriesFromRight) skip(n int) []byte {
	entry, ok := e.next()
	for ; ok && n > 0; n-- {
		entry, ok = e.next()
	}
	return entry
}

func (x *exchange) isInternal(m *config.HTTPConnectionManager, passedOn bool) bool {
	client := x.conn.remoteAddr().Addr()
	if m.UseRemoteAddress {
		if !client.IsValid() { // on a Unix domain socket
			return !passedOn && m.InternalUnixSockets
		}
		return !passedOn && x.inInternal(client)
	}
	entries := fromRight(&x.request.Fields, message.NameXForwardedFor)
	value, _ := entries.next()
	_, more := entries.next()
	client, err := parseAddress(value)
	return err == nil && !more && m.XFFNumTrustedHops == 0 && x.inInternal(client)
}

func (x *exchange) inInternal(a netip.Addr) bool { return contains(x.manager.internal, a) }

// contains reports whether an address is in one of the blocks.
func contains(blocks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, block := range blocks {
		if block.Contains(a) {
			return true
		}
	}
	return false
}
