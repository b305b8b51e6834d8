package route

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// format is the compiled value of a field to add: a constant, or a row of command operators and the constants between
// them.
type format struct {
	literal   []byte     // when operators is nil
	operators []operator // nil for a constant
}

// maxOperators bounds the command operators and constants of one value: each costs work per request.
const maxOperators = 64

// parseFormat compiles a value with %OPERATOR%, %OPERATOR(arguments)% and %OPERATOR(arguments):length%; "%%" stands for
// "%".
func parseFormat(s string) (format, error) {
	if !validValue(s) {
		return format{}, errors.New("the value has a control character, want visible characters, spaces and tabs")
	}
	return parseText(s)
}

// parseText is parseFormat for text that may have any character.
func parseText(s string) (format, error) {
	var f format
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			f.operators = append(f.operators, operator{kind: opLiteral, literal: literal})
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
		op, after, err := parseOperator(rest)
		if err != nil {
			return format{}, err
		}
		f.operators, rest = append(f.operators, op), after
		if len(f.operators) > maxOperators {
			return format{}, fmt.Errorf("more than %d command operators and constants in one value", maxOperators)
		}
	}
	if f.operators == nil {
		return format{literal: literal}, nil
	}
	flush()
	return f, nil
}

// parseOperator parses what follows the first "%" of an operator and returns what follows its last one.
func parseOperator(s string) (op operator, rest string, err error) {
	n := 0
	for n < len(s) && (s[n] == '_' || 'A' <= s[n] && s[n] <= 'Z' || '0' <= s[n] && s[n] <= '9') {
		n++
	}
	name, arguments, length := s[:n], "", ""
	rest = s[n:]
	if strings.HasPrefix(rest, "(") {
		var found bool
		if arguments, length, rest, found = cutArguments(rest[1:]); !found {
			return op, "", fmt.Errorf("command operator %q has no end, want %%NAME(arguments)%% or %%%% for a percent sign", s)
		}
	} else if rest == "" || rest[0] != '%' || n == 0 {
		return op, "", fmt.Errorf("%q after a percent sign is no command operator, want %%NAME%% or %%%% for a percent sign", s)
	} else {
		rest = rest[1:]
	}
	op, err = newOperator(name, arguments)
	if err == nil && length != "" {
		op.maxLength, err = strconv.Atoi(length)
	}
	if err != nil {
		err = fmt.Errorf("command operator %s: %w", name, err)
	}
	return op, rest, err
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
