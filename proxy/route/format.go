package route

import (
	"errors"
	"fmt"

	syntax "github.com/penguintechinc/marchproxy-alb/proxy/format"
)

// format is the compiled value of a field to add: a constant, or a row of command operators and the constants between
// them.
type format struct {
	literal   []byte     // when operators is nil
	operators []operator // nil for a constant
}

// parseFormat compiles a value with command operators.
func parseFormat(s string) (format, error) {
	if !validValue(s) {
		return format{}, errors.New("the value has a control character, want visible characters, spaces and tabs")
	}
	return parseText(s)
}

// parseText is parseFormat for text that may have any character.
func parseText(s string) (f format, err error) {
	parts, err := syntax.Parse(s)
	switch {
	case err != nil || len(parts) == 0:
		return format{}, err
	case len(parts) == 1 && parts[0].Name == "":
		return format{literal: parts[0].Literal}, nil
	}
	for i := range parts {
		p := &parts[i]
		op := operator{kind: opLiteral, literal: p.Literal}
		if p.Name != "" {
			if op, err = newOperator(p.Name, p.Arguments); err != nil {
				return format{}, fmt.Errorf("command operator %s: %w", p.Name, err)
			}
			op.maxLength = p.MaxLength
		}
		f.operators = append(f.operators, op)
	}
	return f, nil
}
