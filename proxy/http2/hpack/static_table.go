package hpack

import (
	"slices"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// staticCount is the number of entries of the static table, whose indexes are 1 to staticCount. The newest entry of the
// dynamic table has the next one (RFC 7541 section 2.3.3).
const staticCount = 61

// staticList is the static table (RFC 7541 appendix A), from index 1 on. It is never written.
var staticList = [staticCount][2]string{
	{":authority", ""},
	{":method", "GET"},
	{":method", "POST"},
	{":path", "/"},
	{":path", "/index.html"},
	{":scheme", "http"},
	{":scheme", "https"},
	{":status", "200"},
	{":status", "204"},
	{":status", "206"},
	{":status", "304"},
	{":status", "400"},
	{":status", "404"},
	{":status", "500"},
	{"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"},
	{"accept-language", ""},
	{"accept-ranges", ""},
	{"accept", ""},
	{"access-control-allow-origin", ""},
	{"age", ""},
	{"allow", ""},
	{"authorization", ""},
	{"cache-control", ""},
	{"content-disposition", ""},
	{"content-encoding", ""},
	{"content-language", ""},
	{"content-length", ""},
	{"content-location", ""},
	{"content-range", ""},
	{"content-type", ""},
	{"cookie", ""},
	{"date", ""},
	{"etag", ""},
	{"expect", ""},
	{"expires", ""},
	{"from", ""},
	{"host", ""},
	{"if-match", ""},
	{"if-modified-since", ""},
	{"if-none-match", ""},
	{"if-range", ""},
	{"if-unmodified-since", ""},
	{"last-modified", ""},
	{"link", ""},
	{"location", ""},
	{"max-forwards", ""},
	{"proxy-authenticate", ""},
	{"proxy-authorization", ""},
	{"range", ""},
	{"referer", ""},
	{"refresh", ""},
	{"retry-after", ""},
	{"server", ""},
	{"set-cookie", ""},
	{"strict-transport-security", ""},
	{"transfer-encoding", ""},
	{"user-agent", ""},
	{"vary", ""},
	{"via", ""},
	{"www-authenticate", ""},
}

// Indexes of the static table that the code names.
const (
	staticAuthority          = 1
	staticGET                = 2
	staticPOST               = 3
	staticRoot               = 4
	staticIndexHTML          = 5
	staticHTTP               = 6
	staticHTTPS              = 7
	staticStatus             = 8 // of 200
	staticAcceptEncoding     = 16
	staticProxyAuthorization = 49
)

// staticFields is the static table as the decoder returns it, by index. It is never written.
var staticFields = buildStaticFields()

func buildStaticFields() (fields [staticCount + 1]Field) {
	for i, pair := range staticList {
		f := &fields[i+1]
		f.Name, f.Value = slices.Clip([]byte(pair[0])), slices.Clip([]byte(pair[1]))
		f.ID, f.Pseudo, f.Malformed = classify(f.Name)
		f.Size = uint32(len(f.Name) + len(f.Value) + entryOverhead)
	}
	return fields
}

// staticByID holds the index of the first static entry of each well-known name, 0 where there is none. It is never written.
var staticByID = buildStaticByID()

func buildStaticByID() (table [256]uint8) {
	for i := staticCount; i > 0; i-- {
		if id := staticFields[i].ID; id != message.NameOther {
			table[id] = uint8(i)
		}
	}
	return table
}

// staticByPseudo holds the index of the first static entry of each pseudo-header field, 0 where there is none. It is never
// written.
var staticByPseudo = [pseudoCount]uint8{
	PseudoAuthority: staticAuthority,
	PseudoMethod:    staticGET,
	PseudoPath:      staticRoot,
	PseudoScheme:    staticHTTP,
	PseudoStatus:    staticStatus,
}

// staticByName finds the names of the static table that are neither well-known nor of a pseudo-header field, by
// staticNameHash, which is different for each of them. It is never written.
var staticByName = buildStaticByName()

const staticNameSlots = 256

func buildStaticByName() (table [staticNameSlots]uint8) {
	for i := 1; i <= staticCount; i++ {
		if f := &staticFields[i]; f.ID == message.NameOther && f.Pseudo == PseudoNone {
			table[staticNameHash(f.Name)] = uint8(i)
		}
	}
	return table
}

// staticNameHash is a perfect hash of those names (a test sees to it): of the length and three of the letters. name must not
// be empty.
func staticNameHash(name []byte) uint32 {
	n := len(name)
	return (uint32(n)*5 + uint32(name[0]) + uint32(name[n-1])*3 + uint32(name[n/2])*16) % staticNameSlots
}

// lookupStatic returns the index of the first static entry with a name that is not well-known, 0 when there is none.
func lookupStatic(name []byte) uint8 {
	if len(name) == 0 {
		return 0
	}
	if i := staticByName[staticNameHash(name)]; string(staticFields[i].Name) == string(name) {
		return i
	}
	return 0
}
