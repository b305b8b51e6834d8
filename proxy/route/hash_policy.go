package route

import (
	"bytes"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// HashPolicies say what of a request its hash is made of, for clusters that balance by consistent hashing. They are immutable.
type HashPolicies []hashPolicy

// hashPolicy is a compiled config.HashPolicy.
type hashPolicy struct {
	config *config.HashPolicy
	field  requestField // of HashHeader
}

// CompileHashPolicies compiles a list, of which the policies past config.MaxHashPolicies are not looked at. It must not change
// afterwards.
func CompileHashPolicies(list []config.HashPolicy) HashPolicies {
	if len(list) == 0 {
		return nil
	}
	policies := make(HashPolicies, min(len(list), config.MaxHashPolicies))
	for i := range policies {
		policies[i].config = &list[i]
		if list[i].Kind == config.HashHeader {
			policies[i].field = newRequestField(list[i].Name)
		}
	}
	return policies
}

// HashContext is what a request can be hashed by.
type HashContext struct {
	Request *message.Request
	// Client is the address of the client that is trusted to be it.
	Client netip.Addr
	// Peer and Local are the ends of the connection that the request came on, which made cookies differ by.
	Peer, Local netip.AddrPort
	// NoCookies has no cookie be made: a client without one has no hash by it.
	NoCookies bool
}

// Hash is what policies make of a request.
type Hash struct {
	// Value is the hash, if there is any.
	Value uint64
	Any   bool
	// cookies has a bit set for each policy whose cookie was made, by its index.
	cookies uint64
}

// MadeCookies reports whether there are cookies that the client has to be given: see HashPolicies.AppendSetCookie.
func (h Hash) MadeCookies() bool { return h.cookies != 0 }

// Hash returns the hash of a request. As in Envoy it is the exclusive or of what the policies find, in which each turns what
// is there by one bit, so that equal values do not cancel out; a policy that is terminal ends the list once there is a hash.
//
// It allocates for a field of more than maxHashedLines lines, and for one with regex_rewrite.
func (p HashPolicies) Hash(c *HashContext) Hash {
	var h Hash
	for i := range p {
		value, found := p[i].hash(c)
		if !found && p[i].config.Cookie != nil && !c.NoCookies {
			text := c.cookie()
			value, found = xxhash.Sum64(text[:]), true
			h.cookies |= 1 << i
		}
		if found {
			h.Value, h.Any = bits.RotateLeft64(h.Value, 1)^value, true
		}
		if h.Any && p[i].config.Terminal {
			break
		}
	}
	return h
}

// hash returns what one policy finds, which is nothing when the request has nothing of the kind.
func (p *hashPolicy) hash(c *HashContext) (hash uint64, found bool) {
	switch p.config.Kind {
	case config.HashHeader:
		return p.hashField(c.Request)
	case config.HashCookie:
		value, _ := cookieValue(&c.Request.Fields, p.config.Name)
		return xxhash.Sum64(value), len(value) > 0
	case config.HashSourceIP:
		if !c.Client.IsValid() {
			return 0, false
		}
		var text [64]byte
		return xxhash.Sum64(c.Client.AppendTo(text[:0])), true
	default:
		_, query := splitTarget(c.Request.Path)
		value, found := queryValue(query, p.config.Name)
		return xxhash.Sum64(value), found
	}
}

// maxHashedLines is the number of lines of a field up to which hashing it does not allocate. A field that tells clients apart
// has one.
const maxHashedLines = 8

// hashField hashes the values of a field in sorted order: the order of its lines does not matter.
func (p *hashPolicy) hashField(r *message.Request) (hash uint64, found bool) {
	first, count := p.field.values(r)
	if count == 0 {
		return 0, false
	}
	if count == 1 && p.config.Rewrite == nil {
		return xxhash.Sum64(first), true
	}
	var room [maxHashedLines][]byte
	values := append(room[:0], first)
	if count > 1 {
		values = values[:0]
		lines := r.Fields.All()
		for i := range lines {
			if p.field.is(&lines[i]) {
				values = append(values, lines[i].Value)
			}
		}
	}
	if rewrite := p.config.Rewrite; rewrite != nil {
		for i, value := range values {
			values[i] = rewrite.Pattern.ReplaceAll(value, []byte(rewrite.Substitution))
		}
	}
	slices.SortFunc(values, bytes.Compare)
	var digest xxhash.Digest
	for _, value := range values {
		digest.ResetWithSeed(hash)
		_, _ = digest.Write(value) // never an error
		hash = digest.Sum64()
	}
	return hash, true
}

// cookie returns the value of a cookie that is made: one for each connection, so that requests which come on it together get
// the same.
func (c *HashContext) cookie() (text [16]byte) {
	var ends [2 * 64]byte
	value := xxhash.Sum64(c.Local.AppendTo(c.Peer.AppendTo(ends[:0])))
	const digits = "0123456789abcdef"
	for i := range text {
		text[i] = digits[value>>(60-4*i)&0xf]
	}
	return text
}

// AppendSetCookie appends the value of a Set-Cookie field for the cookie of the policy at index i, and reports whether h made
// one there. c has to have the Peer and Local that h was made with.
func (p HashPolicies) AppendSetCookie(dst []byte, h Hash, i int, c *HashContext) (value []byte, made bool) {
	if h.cookies&(1<<i) == 0 {
		return dst, false
	}
	policy := p[i].config
	text := c.cookie()
	dst = append(append(dst, policy.Name...), `="`...)
	dst = append(append(dst, text[:]...), '"')
	if ttl := policy.Cookie.TTL; ttl > 0 {
		dst = strconv.AppendInt(append(dst, "; Max-Age="...), int64(ttl/time.Second), 10)
	}
	if policy.Cookie.Path != "" {
		dst = append(append(dst, "; Path="...), policy.Cookie.Path...)
	}
	for _, attribute := range policy.Cookie.Attributes {
		dst = append(append(dst, "; "...), attribute.Name...)
		if attribute.Value != "" {
			dst = append(append(dst, '='), attribute.Value...)
		}
	}
	return append(dst, "; HttpOnly"...), true
}
