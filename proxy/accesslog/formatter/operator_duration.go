package formatter

import (
	"fmt"
	"strings"
	"time"

	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
)

// points are the names of points in time that COMMON_DURATION may have. It is never written.
var points = map[string]accesslog.Point{
	"DS_RX_BEG": accesslog.RequestBegan, "DS_RX_END": accesslog.RequestEnded,
	"US_TX_BEG": accesslog.UpstreamSendBegan, "US_TX_END": accesslog.UpstreamSendEnded,
	"US_RX_BEG": accesslog.UpstreamAnswerBegan, "US_RX_END": accesslog.UpstreamAnswerEnded,
	"DS_TX_BEG": accesslog.ResponseBegan, "DS_TX_END": accesslog.ResponseEnded,
}

const pointNames = "DS_RX_BEG, DS_RX_END, US_TX_BEG, US_TX_END, US_RX_BEG, US_RX_END, DS_TX_BEG or DS_TX_END"

// between returns the operator whose value is the time from one point to another in milliseconds.
func between(from, to accesslog.Point) func(e *accesslog.Entry) (int64, bool) {
	return func(e *accesslog.Entry) (int64, bool) {
		d, ok := e.Between(from, to)
		return d.Milliseconds(), ok
	}
}

// durationOperator makes o the operator COMMON_DURATION(FROM:TO:UNIT), where UNIT is ms unless it is given.
func (o *operator) durationOperator(arguments string) error {
	names := strings.Split(arguments, ":")
	if len(names) < 2 || len(names) > 3 {
		return fmt.Errorf("(%s) is not like (FROM:TO:UNIT)", arguments)
	}
	var ends [2]accesslog.Point
	for i := range ends {
		known := false
		if ends[i], known = points[names[i]]; !known {
			return fmt.Errorf("%q is not a point in time that is known here, want %s", names[i], pointNames)
		}
	}
	unit := time.Millisecond
	if len(names) == 3 {
		var known bool
		if unit, known = units[names[2]]; !known {
			return fmt.Errorf("%q is not a unit, want ms, us or ns", names[2])
		}
	}
	o.number = func(e *accesslog.Entry) (int64, bool) {
		d, ok := e.Between(ends[0], ends[1])
		return int64(d / unit), ok
	}
	return nil
}

// units are those of COMMON_DURATION. It is never written.
var units = map[string]time.Duration{"ms": time.Millisecond, "us": time.Microsecond, "ns": time.Nanosecond}
