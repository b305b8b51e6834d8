package protofile

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages that have a JSON form of their own.
const (
	anyMessage       = "google.protobuf.Any"
	durationMessage  = "google.protobuf.Duration"
	timestampMessage = "google.protobuf.Timestamp"
	structMessage    = "google.protobuf.Struct"
	valueMessage     = "google.protobuf.Value"
	listMessage      = "google.protobuf.ListValue"
	maskMessage      = "google.protobuf.FieldMask"
)

// isWellKnown reports whether a message is a value in JSON, instead of an object with its fields.
func isWellKnown(md protoreflect.MessageDescriptor) bool {
	switch md.FullName() {
	case anyMessage, durationMessage, timestampMessage, structMessage, valueMessage, listMessage, maskMessage:
		return true
	}
	return isWrapper(md)
}

// isWrapper reports whether a message is one of google/protobuf/wrappers.proto.
func isWrapper(md protoreflect.MessageDescriptor) bool {
	return md.ParentFile().Path() == "google/protobuf/wrappers.proto"
}

// wellKnown returns the canonical form of a message that has one of its own, and false for any other. Where that form is
// not an object, an object with the fields of the message is accepted too.
func (c *canonicalizer) wellKnown(v any, md protoreflect.MessageDescriptor, path string) (canonical any, ok bool) {
	o, isObject := v.(map[string]any)
	switch md.FullName() {
	case anyMessage:
		if !isObject {
			c.errorf(path, "%s is not an object, it must have %q and the fields of that type", shown(v), typeKey)
			return nil, true
		}
		return c.packed(o, path), true
	case durationMessage:
		if isObject {
			return c.secondsObject(o, md, path, duration), true
		}
		if text, ok := v.(string); !ok || !isDuration(text) {
			c.errorf(path, "%s is not a duration, it must be like 5s", shown(v))
		}
		return v, true
	case timestampMessage:
		if isObject {
			return c.secondsObject(o, md, path, timestamp), true
		}
		return v, true
	case listMessage:
		if isObject {
			return values(o["values"]), true
		}
		return values(v), true
	case structMessage:
		if !isObject {
			c.errorf(path, "%s is not an object", shown(v))
		}
		return values(v), true
	case valueMessage, maskMessage:
		return values(v), true
	}
	if !isWrapper(md) {
		return nil, false
	}
	value := md.Fields().ByName("value")
	switch {
	case !isObject:
		return c.single(v, value, path), true
	case o["value"] == nil:
		c.object(o, md, path) // for what is wrong with it
		return zero(value), true
	default:
		return c.object(o, md, path)["value"], true
	}
}

// zeroMessage returns an empty message in its canonical form.
func zeroMessage(md protoreflect.MessageDescriptor) any {
	switch md.FullName() {
	case durationMessage:
		return "0s"
	case timestampMessage:
		return time.Unix(0, 0).UTC().Format(time.RFC3339)
	case listMessage:
		return []any{}
	case maskMessage:
		return ""
	}
	if isWrapper(md) {
		return zero(md.Fields().ByName("value"))
	}
	return map[string]any{}
}

// isDuration reports whether s is a number of seconds with up to nine digits after the point, and the unit.
func isDuration(s string) bool {
	number, ok := strings.CutSuffix(s, "s")
	whole, fraction, point := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	digits := func(s string, most int) bool {
		return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
	}
	return ok && digits(whole, 19) && (!point || digits(fraction, 9))
}

// secondsObject returns a Duration or Timestamp that is written as an object of seconds and nanos.
func (c *canonicalizer) secondsObject(o map[string]any, md protoreflect.MessageDescriptor, path string,
	text func(seconds, nanos int64) (string, error)) any {
	before := len(c.errs)
	fields := c.object(o, md, path)
	seconds, err := whole(fields["seconds"])
	if err != nil {
		c.errorf(path+".seconds", "%v", err)
	}
	nanos, err := whole(fields["nanos"])
	if err != nil {
		c.errorf(path+".nanos", "%v", err)
	}
	if len(c.errs) > before {
		return nil
	}
	s, err := text(seconds, nanos)
	if err != nil {
		c.errorf(path, "%v", err)
	}
	return s
}

// whole reads a whole number, 0 where there is none.
func whole(v any) (int64, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return 0, nil
	case json.Number:
		text = string(v)
	case string:
		text = v
	case float64: // of a google.protobuf.Value
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return 0, fmt.Errorf("%v is not a whole number", v)
		}
		return int64(v), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number", shown(v))
	}
	return n, nil
}

const (
	// maxDurationSeconds is about 10,000 years (google/protobuf/duration.proto).
	maxDurationSeconds = 315_576_000_000
	// The first and last second of a Timestamp, in the years 1 and 9999 (google/protobuf/timestamp.proto).
	minTimestampSeconds, maxTimestampSeconds = -62_135_596_800, 253_402_300_799
	nanosPerSecond                           = 1_000_000_000
)

// duration writes a google.protobuf.Duration, whose parts must have the same sign.
func duration(seconds, nanos int64) (string, error) {
	if seconds < -maxDurationSeconds || seconds > maxDurationSeconds || nanos <= -nanosPerSecond || nanos >= nanosPerSecond ||
		seconds < 0 && nanos > 0 || seconds > 0 && nanos < 0 {
		return "", fmt.Errorf("%d seconds and %d nanos are not a duration: want nanos below %d and of the sign of seconds",
			seconds, nanos, nanosPerSecond)
	}
	sign := ""
	if seconds < 0 || nanos < 0 {
		sign, seconds, nanos = "-", -seconds, -nanos
	}
	return fmt.Sprintf("%s%d.%09ds", sign, seconds, nanos), nil
}

// timestamp writes a google.protobuf.Timestamp.
func timestamp(seconds, nanos int64) (string, error) {
	if seconds < minTimestampSeconds || seconds > maxTimestampSeconds || nanos < 0 || nanos >= nanosPerSecond {
		return "", fmt.Errorf("%d seconds and %d nanos are not a time of the years 1 to 9999", seconds, nanos)
	}
	return time.Unix(seconds, nanos).UTC().Format(time.RFC3339Nano), nil
}
