// Package format is the syntax of Envoy's substitution formats: texts with command operators, and formats of times. What an
// operator stands for is known to who has the values.
package format

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxParts bounds the command operators and constants of one text: each costs work per request.
const MaxParts = 64

// Part is a constant or a command operator.
type Part struct {
	Literal   []byte // nil for an operator
	Name      string // of the operator, in capitals
	Arguments string // what is in its parentheses
	MaxLength int    // in bytes, 0 for none
}

// Parse takes a text with %OPERATOR%, %OPERATOR(arguments)% and %OPERATOR(arguments):length% apart; "%%" stands for "%". A text
// without operators is at most one Part.
func Parse(s string) ([]Part, error) {
	var parts []Part
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			parts = append(parts, Part{Literal: literal})
			literal = nil
		}
	}
	for rest := s; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		literal, rest = append(literal, text...), after
		if !found {
			break
		}
		if strings.HasPrefix(rest, "%") {
			literal, rest = append(literal, '%'), rest[1:]
			continue
		}
		flush()
		p, after, err := parseOperator(rest)
		if err != nil {
			return nil, err
		}
		parts, rest = append(parts, p), after
		if len(parts) > MaxParts {
			return nil, fmt.Errorf("more than %d command operators and constants in one value", MaxParts)
		}
	}
	flush()
	return parts, nil
}

// parseOperator parses what follows the first "%" of an operator and returns what follows its last one.
func parseOperator(s string) (p Part, rest string, err error) {
	n := 0
	for n < len(s) && (s[n] == '_' || 'A' <= s[n] && s[n] <= 'Z' || '0' <= s[n] && s[n] <= '9') {
		n++
	}
	name, arguments, length := s[:n], "", ""
	rest = s[n:]
	if n > 0 && strings.HasPrefix(rest, "(") {
		var found bool
		if arguments, length, rest, found = cutArguments(rest[1:]); !found {
			return p, "", fmt.Errorf("command operator %q has no end, want %%NAME(arguments)%% or %%%% for a percent sign", s)
		}
	} else if rest == "" || rest[0] != '%' || n == 0 {
		return p, "", fmt.Errorf("%q after a percent sign is no command operator, want %%NAME%% or %%%% for a percent sign", s)
	} else {
		rest = rest[1:]
	}
	p = Part{Name: name, Arguments: arguments}
	if length != "" {
		if p.MaxLength, err = strconv.Atoi(length); err != nil {
			err = fmt.Errorf("command operator %s: %w", name, err)
		}
	}
	return p, rest, err
}

// cutArguments cuts "arguments)%rest" or "arguments):length%rest". Arguments may have parentheses: they end at the first
// one that is followed so.
func cutArguments(s string) (arguments, length, rest string, found bool) {
	for i := 0; i < len(s); i++ {
		if s[i] != ')' {
			continue
		}
		end := i + 1
		if strings.HasPrefix(s[end:], ":") {
			for end++; end < len(s) && '0' <= s[end] && s[end] <= '9'; end++ {
				length = s[i+2 : end+1]
			}
		}
		if strings.HasPrefix(s[end:], "%") && (end == i+1 || length != "") {
			return s[:i], length, s[end+1:], true
		}
		length = ""
	}
	return "", "", "", false
}
