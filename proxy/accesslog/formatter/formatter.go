// Package formatter makes lines of access logs: texts and JSON objects with Envoy's command operators.
package formatter

import (
	"fmt"
	"math"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/proxy/format"
)

// Formatter is a compiled config.LogFormat. It is immutable.
type Formatter struct {
	text      text
	json      *node // instead of text, nil without
	omitEmpty bool
}

// Compile compiles a format. An operator that nothing is known for is refused by its name.
func Compile(f *config.LogFormat) (*Formatter, error) {
	out := &Formatter{omitEmpty: f.OmitEmpty}
	var err error
	if f.JSON == nil {
		out.text, err = compileText(f.Text)
		return out, err
	}
	c := jsonCompiler{}
	out.json, err = c.object("", f.JSON)
	return out, err
}

// Append appends the line of an entry, which ends as the format does, and with a line feed in JSON. It allocates nothing but for
// the growth of dst.
func (f *Formatter) Append(dst []byte, e *accesslog.Entry) []byte {
	return f.append(dst, e, math.MaxInt)
}

// AppendAtMost is Append for a line of limited length, in bytes. ok is false when it gets longer, and then what was appended is no line.
func (f *Formatter) AppendAtMost(dst []byte, e *accesslog.Entry, length int) (out []byte, ok bool) {
	limit := len(dst) + length
	out = f.append(dst, e, limit)
	return out, len(out) <= limit
}

// append appends the line, and not much more of one that makes dst longer than limit.
func (f *Formatter) append(dst []byte, e *accesslog.Entry, limit int) []byte {
	if f.json != nil {
		return append(f.json.appendObject(dst, e, f.omitEmpty, limit), '\n')
	}
	return f.text.append(dst, e, f.omitEmpty, limit)
}

// text is a row of constants and operators.
type text []part

// part is a constant or an operator.
type part struct {
	literal  []byte // nil for an operator
	operator operator
}

func compileText(s string) (text, error) {
	parts, err := format.Parse(s)
	if err != nil {
		return nil, err
	}
	out := make(text, len(parts))
	for i := range parts {
		p := &parts[i]
		if out[i].literal = p.Literal; p.Name == "" {
			continue
		}
		if out[i].operator, err = newOperator(p); err != nil {
			return nil, fmt.Errorf("command operator %s: %w", p.Name, err)
		}
	}
	return out, nil
}

// append appends the text, as far as it gets until dst is longer than limit. An operator without a value is "-", or nothing with
// omitEmpty.
func (t text) append(dst []byte, e *accesslog.Entry, omitEmpty bool, limit int) []byte {
	for i := 0; i < len(t) && len(dst) <= limit; i++ {
		p := &t[i]
		if p.literal != nil {
			dst = append(dst, p.literal...)
			continue
		}
		var set bool
		if dst, set = p.operator.append(dst, e); !set && !omitEmpty {
			dst = append(dst, '-')
		}
	}
	return dst
}
