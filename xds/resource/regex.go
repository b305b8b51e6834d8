package resource

import (
	"regexp"
	"strings"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// maxRegex bounds the length in bytes of a regular expression. Matching takes time in proportion to it, on the loop that
// also serves everybody else; expressions written by people have some tens of bytes.
const maxRegex = 4096

// fullMatch compiles an RE2 expression that must match the whole of a string.
func (a *at) fullMatch(m *matcherv3.RegexMatcher) *regexp.Regexp {
	// Compiled alone first: what is not an expression by itself, such as "a)|(b", could be one between the anchors.
	if a.regex(m) == nil {
		return nil
	}
	r, err := regexp.Compile(`\A(?:` + m.GetRegex() + `)\z`)
	if err != nil {
		a.in("regex").errorf("%v", err)
		return nil
	}
	return r
}

// regex compiles an RE2 expression that may match anywhere, nil when it is not valid.
func (a *at) regex(m *matcherv3.RegexMatcher) *regexp.Regexp {
	text := m.GetRegex()
	if len(text) > maxRegex {
		a.in("regex").errorf("is %d bytes long, at most %d are allowed", len(text), maxRegex)
		return nil
	}
	r, err := regexp.Compile(text)
	if err != nil {
		a.in("regex").errorf("%v", err)
		return nil
	}
	return r
}

// regexRewrite compiles a pattern and its substitution.
func (a *at) regexRewrite(m *matcherv3.RegexMatchAndSubstitute) *config.Rewrite {
	if m == nil {
		return nil
	}
	pattern := a.in("pattern").regex(m.GetPattern())
	if pattern == nil {
		return nil
	}
	return &config.Rewrite{Pattern: pattern, Substitution: a.in("substitution").substitution(m.GetSubstitution(), pattern.NumSubexp())}
}

// substitution translates RE2's rewrite syntax, where \0 to \9 stand for groups and \\ for a backslash, into Go's. There
// are groups of them beside \0.
func (a *at) substitution(text string, groups int) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '$':
			b.WriteString("$$")
			continue
		case c != '\\':
			b.WriteByte(c)
			continue
		}
		i++
		switch {
		case i == len(text):
			a.errorf("%q ends with a backslash; write \\\\ for one", text)
		case text[i] == '\\':
			b.WriteByte('\\')
		case text[i] < '0' || text[i] > '9':
			a.errorf("%q has \\%c; valid are \\0 to \\9 and \\\\", text, text[i])
		case int(text[i]-'0') > groups:
			a.errorf("%q has \\%c, but the pattern has only %d groups", text, text[i], groups)
		default:
			b.WriteString("${" + text[i:i+1] + "}")
		}
	}
	return b.String()
}
