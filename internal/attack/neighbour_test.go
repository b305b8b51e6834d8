package attack

import (
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penguintechinc/marchproxy-alb/internal/harness"
	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// attackers is how many clients attack at the same time.
const attackers = 8

// TestNeighbours attacks an origin that others use as well, from several connections at a time. HTTP/2 to the origin is a few
// connections that all clients share: what is done to one stream must not be felt by another.
func TestNeighbours(t *testing.T) {
	abreast(t)
	for _, test := range []struct {
		name     string
		kinds    []kind
		body     int
		requests int // of an attacker that reach the origin at most
		attack   func(t *testing.T, g *target, c *harness.H2Client) (frames int)
	}{
		{"rapid reset at the origin", []kind{fastH2, fastH1}, smallBody, 4 * prematureResets, func(t *testing.T, g *target, c *harness.H2Client) int {
			f := resetAtOrigin("", func(c *harness.H2Client, id uint32) { c.Reset(id, http2.ErrCodeCancel) })
			f.flood.frames = 4 * prematureResets
			return f.flood.run(c).sent
		}},
		{"closed windows", []kind{fastH2, fastH1}, 4 * streamWindow, maxStreams, func(t *testing.T, g *target, c *harness.H2Client) int {
			if err := c.TryBatch(func() {
				for i := range maxStreams {
					openGet(c, streamID(i))
				}
			}); err != nil {
				t.Error(err)
			}
			for i := range maxStreams {
				if r, err := c.TryResponse(streamID(i)); err != nil || !r.Reset {
					t.Errorf("stream %d: got %v, %v, want a reset", streamID(i), r, err)
					break
				}
			}
			return maxStreams
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			abreast(t)
			each(t, test.kinds, func(t *testing.T, k kind) {
				g := newTargetBody(t, k, test.body, patientForNeighbours, shareOrigin)
				g.run(attack{
					name: "neighbours, " + test.name, requests: attackers*test.requests + manyCanaries, inFlight: attackers*maxStreams + 1,
					growth: attackers * stalledGrowth,
					run:    func() int { return g.abreast(test.attack) },
				})
			})
		})
	}
}

// patientForNeighbours gives streams time enough that those who do take their answers get them also where the machine is busy
// and the race detector slows down the origin.
func patientForNeighbours(s *process.Setup) {
	if process.Race {
		setPatience(s, "15s")
		return
	}
	setPatience(s, "3s")
}

// manyCanaries is more requests than a canary sends in any of these attacks.
const manyCanaries = 10_000

// abreast has attackers attack at the same time, with streams that ask for answers of which nothing is taken.
func (g *target) abreast(attack func(t *testing.T, g *target, c *harness.H2Client) int) (frames int) {
	g.t.Helper()
	var running sync.WaitGroup
	sent := make([]int, attackers)
	for i := range sent {
		c := g.dialRaw()
		c.Handshake(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		running.Go(func() {
			defer c.Close()
			sent[i] = attack(g.t, g, c)
		})
	}
	running.Wait()
	for _, n := range sent {
		frames += n
	}
	return frames
}
