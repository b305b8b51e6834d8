package attack

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// late is how long a slow origin takes to answer. Attacks that reset what they ask for are long done by then.
const late = 200 * time.Millisecond

// kind is an origin that attacked requests go to.
type kind struct {
	http1, slow bool
}

// String returns the name of subtests.
func (k kind) String() string {
	protocol, pace := "h2", "fast"
	if k.http1 {
		protocol = "h1"
	}
	if k.slow {
		pace = "slow"
	}
	return protocol + "/" + pace
}

var (
	fastH2, slowH2 = kind{}, kind{slow: true}
	fastH1, slowH1 = kind{http1: true}, kind{http1: true, slow: true}
)

// paces are a fast and a slow origin, which speak HTTP/2.
var paces = []kind{fastH2, slowH2}

// origins are all kinds.
var origins = []kind{fastH2, slowH2, fastH1, slowH1}

// some returns the given kinds in the short form, and all in the full one.
func some(kinds ...kind) []kind {
	if *full {
		return origins
	}
	return kinds
}

// each runs an attack with each kind of origin.
func each(t *testing.T, kinds []kind, attack func(t *testing.T, k kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			abreast(t)
			attack(t, k)
		})
	}
}

// origin is where attacked requests end up.
type origin interface {
	Addr() netip.AddrPort
	// load returns how many requests have come, and how many of them were there at the same time.
	load() (requests, most int)
	// inFlight returns how many requests are there now.
	inFlight() int
}

// start starts an origin of the kind, and returns it with its cluster. It answers 200 and a body of so many bytes.
func (k kind) start(t testing.TB, body int) (origin, process.Fields) {
	t.Helper()
	wait := time.Duration(0)
	if k.slow {
		wait = late
	}
	if k.http1 {
		o := newOriginH1(t, wait, letters(body))
		return o, process.Cluster(harness.ClusterName, o.Addr())
	}
	options := process.Fields{"initial_stream_window_size": streamWindow, "initial_connection_window_size": connWindow}
	o := originH2{harness.NewH2Origin(t, answerLater(wait, harness.H2OK(letters(body))))}
	return o, process.HTTP2Cluster(harness.ClusterName, options, o.Addr())
}

func letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}

type originH2 struct{ *harness.H2Origin }

func (o originH2) load() (requests, most int) {
	c := o.Counts()
	return c.Started, c.MaxInFlight
}

func (o originH2) inFlight() int { return o.Counts().InFlight }

// answerLater is a script that answers every request after a while, also those that were reset meanwhile: the answer then
// crosses the reset.
func answerLater(wait time.Duration, r harness.H2Response) func(*harness.H2Peer) {
	return func(p *harness.H2Peer) {
		p.AllowMetadata() // where the proxy is told to pass it on
		type due struct {
			id uint32
			at time.Time
		}
		// Answers are sent by a goroutine of their own, so that resets are read meanwhile.
		queue := make(chan due, 1<<16)
		var sender sync.WaitGroup
		sender.Go(func() {
			for d := range queue {
				time.Sleep(time.Until(d.at))
				p.Respond(d.id, r)
			}
		})
		harness.H2Serve(func(_ *harness.H2Peer, req harness.H2Request) {
			queue <- due{req.StreamID, time.Now().Add(wait)}
		})(p)
		p.Close()
		close(queue)
		sender.Wait()
	}
}
