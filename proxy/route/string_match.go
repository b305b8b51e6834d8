package route

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// StringMatcher is a compiled config.StringMatcher.
type StringMatcher struct {
	kind       config.StringKind
	ignoreCase bool
	value      string // lower-case with ignoreCase
	part       []byte // value, for StringContains
	regex      *regexp.Regexp
}

// CompileString compiles m.
func CompileString(m *config.StringMatcher) (StringMatcher, error) {
	s := StringMatcher{kind: m.Kind, ignoreCase: m.IgnoreCase, value: m.Value, regex: m.Regex}
	if s.ignoreCase {
		s.value = string(appendLower(nil, []byte(m.Value)))
	}
	switch {
	case s.kind > config.StringRegex:
		return s, fmt.Errorf("string match of kind %d is unknown", s.kind)
	case s.kind == config.StringRegex && s.regex == nil:
		return s, errors.New("safe_regex without a regular expression")
	case s.kind == config.StringContains:
		s.part = []byte(s.value)
	}
	return s, nil
}

// Match reports whether value matches. Regular expressions have a flag of their own for ignoring case.
func (m *StringMatcher) Match(value []byte) bool {
	if m.kind == config.StringRegex {
		return m.regex.Match(value)
	}
	return m.matchLiteral(value)
}

// matchLiteral is Match for all but regular expressions; unlike them it lets value stay on the caller's stack.
func (m *StringMatcher) matchLiteral(value []byte) bool {
	switch m.kind {
	case config.StringExact:
		return equal(value, m.value, m.ignoreCase)
	case config.StringPrefix:
		return hasPrefix(value, m.value, m.ignoreCase)
	case config.StringSuffix:
		return len(value) >= len(m.value) && equal(value[len(value)-len(m.value):], m.value, m.ignoreCase)
	default:
		if m.ignoreCase {
			return containsLower(value, m.value)
		}
		return bytes.Contains(value, m.part)
	}
}

// equal reports whether s is value, which is lower-case with ignoreCase.
func equal(s []byte, value string, ignoreCase bool) bool {
	if !ignoreCase {
		return string(s) == value
	}
	if len(s) != len(value) {
		return false
	}
	for i := range s {
		if lower(s[i]) != value[i] {
			return false
		}
	}
	return true
}

// hasPrefix reports whether s begins with prefix, which is lower-case with ignoreCase.
func hasPrefix(s []byte, prefix string, ignoreCase bool) bool {
	return len(s) >= len(prefix) && equal(s[:len(prefix)], prefix, ignoreCase)
}

// containsLower reports whether part, which is lower-case, is in s without regard to case.
func containsLower(s []byte, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if equal(s[i:i+len(part)], part, true) {
			return true
		}
	}
	return false
}
