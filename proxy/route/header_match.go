package route

import (
	"bytes"
	"fmt"
	"math"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// headerMatcher is a compiled config.HeaderMatcher.
type headerMatcher struct {
	joined              bool // lines of a repeated field are one list: cookies, and inputs of matchers
	field               requestField
	kind                config.HeaderKind
	present, invert     bool
	treatMissingAsEmpty bool
	start, end          int64
	value               StringMatcher
}

func compileHeader(m *config.HeaderMatcher) (headerMatcher, error) {
	h := headerMatcher{
		field:               newRequestField(m.Name),
		kind:                m.Kind,
		present:             m.Present,
		invert:              m.Invert,
		treatMissingAsEmpty: m.TreatMissingAsEmpty,
		start:               m.Start,
		end:                 m.End,
	}
	if m.Kind > config.HeaderRange {
		return h, fmt.Errorf("header match of kind %d is unknown", m.Kind)
	}
	h.joined = h.field.id == message.NameCookie
	var err error
	h.value, err = CompileString(&m.String)
	return h, err
}

// HeaderMatchers are compiled matchers of the fields of requests.
type HeaderMatchers []headerMatcher

// CompileHeaders compiles list.
func CompileHeaders(list []config.HeaderMatcher) (HeaderMatchers, error) { return compileHeaders(list) }

// All reports whether all of them match.
func (l HeaderMatchers) All(req *message.Request) bool {
	for i := range l {
		if !l[i].match(req) {
			return false
		}
	}
	return true
}

// match asks a request. A field that is absent matches no question about its value, inverted or not, unless the
// configuration says to treat it as empty.
func (m *headerMatcher) match(r *message.Request) bool {
	value, count := m.field.values(r)
	return m.matchValue(value, count, &r.Fields)
}

// matchFields is match for the fields of a response.
func (m *headerMatcher) matchFields(fields *message.Fields) bool {
	value, count := m.field.fieldName.values(fields)
	return m.matchValue(value, count, fields)
}

func (m *headerMatcher) matchValue(value []byte, count int, fields *message.Fields) bool {
	switch {
	case m.kind == config.HeaderPresent:
		return ((count > 0) == m.present) != m.invert
	case count == 0 && !m.treatMissingAsEmpty:
		return false
	case count > 1:
		return m.matchLines(fields) != m.invert
	default:
		return m.matchLine(value) != m.invert
	}
}

// matchLine asks one value.
func (m *headerMatcher) matchLine(value []byte) bool {
	if m.kind == config.HeaderRange {
		return m.inRange(value)
	}
	return m.value.Match(value)
}

// matchLines reports whether any line of a repeated field is what is asked for: what is looked for must not be hidden by another line
// beside it. Envoy does the same since 1.39, and joined the lines before. Cookies are one list however many lines they come in.
func (m *headerMatcher) matchLines(fields *message.Fields) bool {
	if m.joined {
		return m.matchJoined(fields)
	}
	lines := fields.All()
	for i := range lines {
		if m.field.is(&lines[i]) && m.matchLine(lines[i].Value) {
			return true
		}
	}
	return false
}

// matchJoined asks all lines as one list.
func (m *headerMatcher) matchJoined(fields *message.Fields) bool {
	if m.kind == config.HeaderString && m.value.kind == config.StringRegex {
		return m.value.Match(m.field.appendJoined(nil, fields))
	}
	var buffer [joinBuffer]byte
	joined := m.field.appendJoined(buffer[:0], fields)
	if m.kind == config.HeaderRange {
		return m.inRange(joined)
	}
	return m.value.matchLiteral(joined)
}

func (m *headerMatcher) inRange(value []byte) bool {
	n, ok := parseInt(value)
	return ok && m.start <= n && n < m.end
}

// parseInt parses a whole decimal number with an optional sign and optional white space around it.
func parseInt(s []byte) (n int64, ok bool) {
	s = bytes.Trim(s, " \t")
	negative := len(s) > 0 && s[0] == '-'
	if negative || len(s) > 0 && s[0] == '+' {
		s = s[1:]
	}
	if len(s) == 0 {
		return 0, false
	}
	// Summing up below zero reaches the least number, which has no positive counterpart.
	for _, b := range s {
		digit := int64(b) - '0'
		if digit < 0 || digit > 9 || n < (math.MinInt64+digit)/10 {
			return 0, false
		}
		n = n*10 - digit
	}
	if negative {
		return n, true
	}
	return -n, n != math.MinInt64
}
