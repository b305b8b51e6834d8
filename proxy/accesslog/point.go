package accesslog

import "time"

// Point is a point in time of a request.
type Point uint8

// The points, with the names that COMMON_DURATION has for them.
const (
	RequestBegan        Point = iota // DS_RX_BEG
	RequestEnded                     // DS_RX_END: the last byte of the request had come
	UpstreamSendBegan                // US_TX_BEG
	UpstreamSendEnded                // US_TX_END
	UpstreamAnswerBegan              // US_RX_BEG: the head of the response had come
	UpstreamAnswerEnded              // US_RX_END
	ResponseBegan                    // DS_TX_BEG
	ResponseEnded                    // DS_TX_END
	PointCount
)

// Unset stands for a time at which nothing has happened.
const Unset time.Duration = -1

// Between returns the time from one point to another; ok is false when one of them was not reached, or the second came first.
func (e *Entry) Between(from, to Point) (d time.Duration, ok bool) {
	a, b := e.At[from], e.At[to]
	return b - a, a >= 0 && b >= a
}
