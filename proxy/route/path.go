package route

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// splitTarget splits the target of a request into its path and its query, which is what stands after the first "?". Both
// end before "#": a fragment has no place in a target (RFC 9112 section 3.2) and must not hide a path from a match.
func splitTarget(target []byte) (path, query []byte) {
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		return target[:i], target[i+1:]
	}
	return target, nil
}

// pathMatcher compares a path without query.
type pathMatcher struct {
	kind       config.PathKind
	ignoreCase bool
	value      string // lower-case with ignoreCase
	regex      *regexp.Regexp
}

func compilePath(m *config.RouteMatch) (pathMatcher, error) {
	p := pathMatcher{kind: m.Kind, ignoreCase: !m.CaseSensitive, value: m.Path, regex: m.Regex}
	switch m.Kind {
	case config.PathPrefix, config.PathExact, config.PathSeparatedPrefix:
		if p.ignoreCase {
			p.value = string(appendLower(nil, []byte(m.Path)))
		}
	case config.PathConnect:
		p.ignoreCase = false
	case config.PathRegex:
		p.ignoreCase = false // safe_regex has a flag of its own for this
		if m.Regex == nil {
			return p, errors.New("safe_regex without a regular expression")
		}
	default:
		return p, fmt.Errorf("path kind %d is unknown", m.Kind)
	}
	return p, nil
}

func (p *pathMatcher) match(path []byte) bool {
	switch p.kind {
	case config.PathPrefix:
		return hasPrefix(path, p.value, p.ignoreCase)
	case config.PathExact:
		return equal(path, p.value, p.ignoreCase)
	case config.PathSeparatedPrefix:
		return hasPrefix(path, p.value, p.ignoreCase) && (len(path) == len(p.value) || path[len(p.value)] == '/')
	case config.PathConnect:
		return false // what has a path is not CONNECT
	default:
		return p.regex.Match(path)
	}
}

// matchedLength returns how much of path, which matched, prefix_rewrite replaces.
func (p *pathMatcher) matchedLength(path []byte) int {
	if p.kind == config.PathRegex {
		return len(path)
	}
	return len(p.value)
}
