package format

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// defaultTimeLayout is how Envoy prints a time where no format is given.
const defaultTimeLayout = "2006-01-02T15:04:05.000Z"

// Time is a compiled format of a time.
type Time []timePart

// timePart is one part of a compiled strftime format: a constant, a layout of package time, the seconds since the epoch,
// or a fraction of a second.
type timePart struct {
	literal  string
	layout   string
	epoch    bool
	fraction int // digits, 1 to 9
}

// ParseTime compiles a strftime format with Envoy's additions: %s for seconds since the epoch, %f for nanoseconds and %1f to
// %9f for shorter fractions. The empty format is Envoy's default.
func ParseTime(s string) (Time, error) {
	if s == "" {
		return Time{{layout: defaultTimeLayout}}, nil
	}
	var parts Time
	for rest := s; rest != ""; {
		literal, conversion, found := strings.Cut(rest, "%")
		if literal != "" {
			parts = append(parts, timePart{literal: literal})
		}
		if !found {
			break
		}
		part, length := parseConversion(conversion)
		if length == 0 {
			return nil, fmt.Errorf("time format %q: no conversion is known that begins with %q", s, "%"+conversion)
		}
		parts, rest = append(parts, part), conversion[length:]
		if len(parts) > MaxParts {
			return nil, fmt.Errorf("time format %q has more than %d parts", s, MaxParts)
		}
	}
	return parts, nil
}

// parseConversion parses what follows a percent sign and returns its length, 0 for what is no conversion.
func parseConversion(s string) (part timePart, length int) {
	if s == "" {
		return part, 0
	}
	switch c := s[0]; {
	case c == '%':
		return timePart{literal: "%"}, 1
	case c == 's':
		return timePart{epoch: true}, 1
	case c == 'f':
		return timePart{fraction: 9}, 1
	case '1' <= c && c <= '9' && strings.HasPrefix(s[1:], "f"):
		return timePart{fraction: int(c - '0')}, 2
	default:
		layout := timeLayout(c)
		return timePart{layout: layout}, min(len(layout), 1)
	}
}

// timeLayout returns package time's spelling of a conversion of strftime, empty for one it has none for.
func timeLayout(conversion byte) string {
	switch conversion {
	case 'Y':
		return "2006"
	case 'y':
		return "06"
	case 'm':
		return "01"
	case 'd':
		return "02"
	case 'e':
		return "_2"
	case 'j':
		return "002"
	case 'H':
		return "15"
	case 'I':
		return "03"
	case 'M':
		return "04"
	case 'S':
		return "05"
	case 'p':
		return "PM"
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'F':
		return "2006-01-02"
	case 'T':
		return "15:04:05"
	case 'R':
		return "15:04"
	case 'z':
		return "-0700"
	case 'Z':
		return "MST"
	default:
		return ""
	}
}

// Append appends t in UTC, nothing for the zero time.
func (f Time) Append(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	t = t.UTC()
	for i := range f {
		switch p := &f[i]; {
		case p.epoch:
			dst = strconv.AppendInt(dst, t.Unix(), 10)
		case p.fraction > 0:
			dst = appendFraction(dst, t.Nanosecond(), p.fraction)
		case p.layout != "":
			dst = t.AppendFormat(dst, p.layout)
		default:
			dst = append(dst, p.literal...)
		}
	}
	return dst
}

// appendFraction appends the first digits, 1 to 9, of a fraction of a second, cut and not rounded.
func appendFraction(dst []byte, nanoseconds, digits int) []byte {
	for power := int(time.Second) / 10; digits > 0; digits, power = digits-1, power/10 {
		dst = append(dst, byte('0'+nanoseconds/power%10))
	}
	return dst
}
