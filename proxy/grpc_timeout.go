package proxy

import (
	"strconv"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// setGRPCTimeout takes the limits on time that a request chooses with grpc-timeout, where the route lets it.
func (x *exchange) setGRPCTimeout(forward *config.Forward) {
	if d := forward.MaxStreamDuration; d != nil {
		x.maxDuration = *d
	}
	if forward.GRPCTimeout == nil && forward.GRPCStreamDuration == nil {
		return
	}
	value, _ := x.request.Fields.Get(message.NameGRPCTimeout)
	asked, ok := parseGRPCTimeout(value)
	if limit := forward.GRPCTimeout; limit != nil && x.isGRPC() {
		// Without the field the request is one that waits for ever, as far as the route lets it.
		x.timeout = limitGRPCTimeout(asked, limit)
	}
	if limit := forward.GRPCStreamDuration; limit != nil && ok {
		x.maxDuration = limitGRPCDuration(asked, limit)
	}
}

// limitGRPCTimeout returns what a route makes of the timeout that a request asks for, 0 for none.
func limitGRPCTimeout(asked time.Duration, limit *config.GRPCTimeout) time.Duration {
	if limit.Offset > 0 && asked > limit.Offset {
		asked -= limit.Offset
	}
	if limit.Max > 0 && (asked == 0 || asked > limit.Max) {
		return limit.Max
	}
	return asked
}

// noTime is a duration that is over at once, where 0 means none.
const noTime = time.Nanosecond

// limitGRPCDuration returns what a route makes of the timeout that a request asks for as the longest duration of the stream.
// Here, 0 is no time.
func limitGRPCDuration(asked time.Duration, limit *config.GRPCTimeout) time.Duration {
	if limit.Max > 0 {
		asked = min(asked, limit.Max)
	}
	return max(asked-limit.Offset, noTime)
}

// tellGRPCTimeout tells the host how long a request of gRPC may take, where the route has limits of that kind.
func (x *exchange) tellGRPCTimeout(forward *config.Forward) {
	limit := x.timeout
	switch {
	case forward.TellsDuration:
		limit = x.maxDuration
	case forward.GRPCTimeout == nil:
		return
	}
	if limit > 0 && x.isGRPC() {
		start := len(x.arena)
		x.arena = appendGRPCTimeout(x.arena, limit)
		x.request.Fields.Set(message.NameGRPCTimeout, x.added(start))
	}
}

// maxGRPCTimeoutDigits is the length of TimeoutValue ("gRPC over HTTP2", Requests).
const maxGRPCTimeoutDigits = 8

// parseGRPCTimeout returns the value of grpc-timeout in whole milliseconds, rounded up. What is none is ignored, and so is one
// that lasts longer than a time.Duration holds.
func parseGRPCTimeout(value []byte) (d time.Duration, ok bool) {
	digits := len(value) - 1
	if digits < 1 || digits > maxGRPCTimeoutDigits {
		return 0, false
	}
	n := int64(0)
	for _, c := range value[:digits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	unit, ok := grpcTimeoutUnit(value[digits])
	const longest = time.Duration(1<<63 - 1)
	if !ok || n > int64(longest/unit) {
		return 0, false
	}
	d = time.Duration(n) * unit
	if part := d % time.Millisecond; part > 0 {
		d += time.Millisecond - part
	}
	return d, true
}

func grpcTimeoutUnit(c byte) (time.Duration, bool) {
	switch c {
	case 'H':
		return time.Hour, true
	case 'M':
		return time.Minute, true
	case 'S':
		return time.Second, true
	case 'm':
		return time.Millisecond, true
	case 'u':
		return time.Microsecond, true
	case 'n':
		return time.Nanosecond, true
	default:
		return 0, false
	}
}

// appendGRPCTimeout appends a timeout as the value of grpc-timeout, in the finest unit in which it is short enough. What is
// cut off makes it shorter, never longer.
func appendGRPCTimeout(dst []byte, d time.Duration) []byte {
	const most = 99_999_999
	for _, u := range []struct {
		unit time.Duration
		name byte
	}{{time.Millisecond, 'm'}, {time.Second, 'S'}, {time.Minute, 'M'}} {
		if n := int64(d / u.unit); n <= most {
			return append(strconv.AppendInt(dst, n, 10), u.name)
		}
	}
	return append(strconv.AppendInt(dst, int64(d/time.Hour), 10), 'H')
}
