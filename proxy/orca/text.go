package orca

import (
	"bytes"
	"strconv"
)

// maxNumber bounds the text of a number: float64 needs 24 characters at most, and a number this short is parsed on the stack.
const maxNumber = 32

// text takes a report like "cpu_utilization:0.3,named_metrics.queue:12". It reports whether the report is well-formed: as in Envoy
// each metric is one that a report can have, and scalars come once.
func (r *report) text(list []byte) (ok bool) {
	var seen [scalarCount]bool
	for len(list) > 0 {
		var entry []byte
		entry, list, _ = bytes.Cut(list, []byte{','})
		if entry = bytes.TrimSpace(entry); len(entry) == 0 {
			continue
		}
		name, digits, _ := bytes.Cut(entry, []byte{':'})
		value, ok := number(bytes.TrimSpace(digits))
		if !ok {
			return false
		}
		if s := scalarNamed(name); s != noScalar {
			if seen[s] || !r.set(s, value) {
				return false
			}
			seen[s] = true
			continue
		}
		prefix, key, _ := bytes.Cut(name, []byte{'.'})
		if groupNamed(prefix) != namedMetrics || len(key) == 0 || !r.add(namedMetrics, key, value) {
			return false
		}
	}
	return true
}

// number returns the value of a decimal number.
func number(digits []byte) (value float64, ok bool) {
	if len(digits) == 0 || len(digits) > maxNumber {
		return 0, false
	}
	for _, c := range digits {
		if !numeric(c) {
			return 0, false // what else ParseFloat takes: hexadecimal digits, underscores, names
		}
	}
	value, err := strconv.ParseFloat(string(digits), 64)
	return value, err == nil
}

// numeric reports whether c may be part of a decimal number.
func numeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E'
}
