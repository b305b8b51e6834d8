package load

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Paced are requests that were sent at a fixed pace.
type Paced struct {
	// Latencies are those of the requests that were answered with status 200, each from when the request was due: one that
	// waits for the one before it waits in the proxy's name.
	Latencies []time.Duration
	// Failed counts the others.
	Failed int
}

// Pace sends the request of q again and again, on one connection, until ctx is done: one every interval.
func Pace(ctx context.Context, q Question, interval time.Duration) (p Paced, err error) {
	request, err := q.request(context.WithoutCancel(ctx))
	if err != nil {
		return p, err
	}
	transport := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1, ResponseHeaderTimeout: paceTimeout}
	defer transport.CloseIdleConnections()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); ; due = due.Add(interval) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return p, nil
		}
		if answered(transport, request) {
			p.Latencies = append(p.Latencies, time.Since(due))
		} else {
			p.Failed++
		}
	}
}

// paceTimeout bounds one request of Pace.
const paceTimeout = 5 * time.Second

func answered(transport *http.Transport, request *http.Request) bool {
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.Body.Close() == nil && err == nil && response.StatusCode == http.StatusOK
}
