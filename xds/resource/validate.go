package resource

import (
	"strings"
	"unicode"
)

// validated is a message with the constraints of protoc-gen-validate.
type validated interface{ ValidateAll() error }

// validate checks the constraints that the .proto files declare for m and what it contains, without looking into
// google.protobuf.Any. It reports whether they hold.
func (a *at) validate(m validated) bool {
	err := m.ValidateAll()
	if err != nil {
		a.violations(err)
	}
	return err == nil
}

// violations reports the error of a generated Validate method with the field path as the .proto file writes it.
func (a *at) violations(err error) {
	if many, ok := err.(interface{ AllErrors() []error }); ok {
		for _, e := range many.AllErrors() {
			a.violations(e)
		}
		return
	}
	v, ok := err.(interface {
		Field() string
		Reason() string
		Cause() error
	})
	if !ok {
		a.errorf("%v", err)
		return
	}
	here := a.in(protoName(v.Field()))
	if v.Cause() != nil {
		here.violations(v.Cause())
		return
	}
	here.errorf("%s", v.Reason())
}

// protoName turns a Go field name with an optional index, "VirtualHosts[0]", into the one of the .proto file,
// "virtual_hosts[0]".
func protoName(field string) string {
	name, index, found := strings.Cut(field, "[")
	var b strings.Builder
	for i, c := range name {
		if unicode.IsUpper(c) {
			if i > 0 && name[i-1] != '_' {
				b.WriteByte('_')
			}
			c = unicode.ToLower(c)
		}
		b.WriteRune(c)
	}
	if found {
		b.WriteString("[" + index)
	}
	return b.String()
}

// Validate checks the constraints that the .proto files declare for a message that is no resource, such as a part of the
// bootstrap. The error has a line for each violation, which begins with what.
func Validate(what string, m interface{ ValidateAll() error }) error {
	root := &at{report: &report{resource: what}}
	root.validate(m)
	return root.err()
}
