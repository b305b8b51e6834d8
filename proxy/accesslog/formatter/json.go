package formatter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// Bounds of JSON formats: what there is costs work per request, and depth costs stack.
const (
	maxNodes = 256
	maxDepth = 16
)

// node is a value of a JSON format. key comes before it, quoted and with its colon, empty in lists and for the outermost.
type node struct {
	key      string
	constant []byte  // encoded
	text     text    // a string with operators
	typed    bool    // text is one operator, whose type the value has
	list     bool    // members are those of a list
	members  []*node // of an object or a list
}

// jsonCompiler counts what it has made.
type jsonCompiler struct{ nodes, depth int }

func (c *jsonCompiler) object(key string, members map[string]any) (*node, error) {
	n := &node{key: key}
	c.depth++
	defer func() { c.depth-- }()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		m, err := c.value(string(quoted)+":", members[name])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		n.members = append(n.members, m)
	}
	return n, nil
}

func (c *jsonCompiler) value(key string, v any) (*node, error) {
	if c.nodes++; c.nodes > maxNodes || c.depth > maxDepth {
		return nil, fmt.Errorf("the JSON format has more than %d values, or is deeper than %d", maxNodes, maxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		return c.object(key, v)
	case []any:
		n := &node{key: key, list: true}
		c.depth++
		defer func() { c.depth-- }()
		for i, one := range v {
			m, err := c.value("", one)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			n.members = append(n.members, m)
		}
		return n, nil
	case string:
		t, err := compileText(v)
		if err != nil {
			return nil, err
		}
		n := &node{key: key, text: t, typed: len(t) == 1 && t[0].literal == nil}
		if len(t) == 0 || len(t) == 1 && !n.typed {
			n.constant = append(escapeTail(t.append([]byte{'"'}, nil, false, math.MaxInt), 1), '"')
		}
		return n, nil
	default:
		encoded, err := json.Marshal(v)
		return &node{key: key, constant: encoded}, err
	}
}

// appendObject appends the members of n with what is around them, as far as it gets until dst is longer than limit. With omitEmpty
// those of no value are left out.
func (n *node) appendObject(dst []byte, e *accesslog.Entry, omitEmpty bool, limit int) []byte {
	begin, end := byte('{'), byte('}')
	if n.list {
		begin, end = '[', ']'
	}
	dst = append(dst, begin)
	first := true
	for _, m := range n.members {
		if len(dst) > limit {
			return dst
		}
		before := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, m.key...)
		var set bool
		if dst, set = m.append(dst, e, omitEmpty, limit); set || !omitEmpty {
			first = false
			continue
		}
		dst = dst[:before]
	}
	return append(dst, end)
}

// append appends the value; set is false for null, which stands for an operator without a value.
func (n *node) append(dst []byte, e *accesslog.Entry, omitEmpty bool, limit int) (out []byte, set bool) {
	switch {
	case n.constant != nil:
		return append(dst, n.constant...), true
	case n.text == nil:
		return n.appendObject(dst, e, omitEmpty, limit), true
	case !n.typed:
		start := len(dst) + 1
		dst = n.text.append(append(dst, '"'), e, omitEmpty, limit)
		return append(escapeTail(dst, start), '"'), true
	}
	op, start := &n.text[0].operator, len(dst)
	if op.number != nil && op.maxLength == 0 {
		if dst, set = op.append(dst, e); set {
			return dst, true
		}
		return append(dst, "null"...), false
	}
	if dst, set = op.append(append(dst, '"'), e); !set {
		return append(dst[:start], "null"...), false
	}
	return append(escapeTail(dst, start+1), '"'), true
}

// escapeTail escapes what follows start for a JSON string (RFC 8259 section 7), in place: from its end, as it grows. Bytes that
// are not UTF-8 become U+FFFD.
func escapeTail(b []byte, start int) []byte {
	extra := 0
	for i := len(b); i > start; {
		size := lastSize(b[start:i])
		extra += escapedSize(b[i-size:i]) - size
		i -= size
	}
	if extra == 0 {
		return b
	}
	from := len(b)
	b = slices.Grow(b, extra)[:from+extra]
	for to := len(b); from > start; {
		size := lastSize(b[start:from])
		from -= size
		// The escape may reach over the bytes that it stands for.
		var kept [utf8.UTFMax]byte
		one := kept[:copy(kept[:], b[from:from+size])]
		to -= escapedSize(one)
		escape(b[to:], one)
	}
	return b
}

// lastSize returns the length of the last character of b, 1 for a byte that is of none.
func lastSize(b []byte) int {
	if b[len(b)-1] < utf8.RuneSelf {
		return 1
	}
	_, size := utf8.DecodeLastRune(b)
	return size
}

func escapedSize(one []byte) int {
	switch c := one[0]; {
	case len(one) > 1:
		return len(one)
	case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
		return len(`\n`)
	case c < ' ' || c >= utf8.RuneSelf:
		return len(`\u0000`)
	default:
		return 1
	}
}

// escape writes the escape of a character to dst, which has the room.
func escape(dst, one []byte) {
	const digits = "0123456789abcdef"
	switch c := one[0]; {
	case len(one) > 1:
		copy(dst, one)
	case c == '"' || c == '\\':
		dst[0], dst[1] = '\\', c
	case c == '\n':
		copy(dst, `\n`)
	case c == '\r':
		copy(dst, `\r`)
	case c == '\t':
		copy(dst, `\t`)
	case c < ' ':
		copy(dst, `\u00`)
		dst[4], dst[5] = digits[c>>4], digits[c&15]
	case c >= utf8.RuneSelf:
		copy(dst, `\ufffd`)
	default:
		dst[0] = c
	}
}
