package xds_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
)

// world is a random configuration: names, each with a variant, and whether anything in it cannot be used.
type world struct {
	clusters, endpoints, listeners, routes []types.Resource
	names                                  [4][]string // that should be in force
}

// randomWorld takes each of a few names or not. With bad, something unusable is among clusters and listeners.
func randomWorld(r *rand.Rand, bad bool) *world {
	w := &world{}
	for _, name := range []string{"a", "b", "c", "d"} {
		switch r.IntN(3) {
		case 0:
			c := edsCluster(name)
			c.ConnectTimeout.Seconds = 1 + r.Int64N(3)
			w.clusters = append(w.clusters, c)
			w.endpoints = append(w.endpoints, assignment(name, 1+r.Uint32N(3)))
			w.names[0], w.names[1] = append(w.names[0], name), append(w.names[1], name)
		case 1:
			w.clusters = append(w.clusters, staticCluster(name, 1+r.Uint32N(3)))
			w.names[0] = append(w.names[0], name)
		}
	}
	for i, name := range []string{"k", "l", "m"} {
		port := 80 + uint32(i)
		switch r.IntN(3) {
		case 0:
			w.listeners = append(w.listeners, rdsListener(name, port, "of-"+name))
			w.routes = append(w.routes, routes("of-"+name, string('a'+rune(r.IntN(4)))))
			w.names[2], w.names[3] = append(w.names[2], name), append(w.names[3], "of-"+name)
		case 1:
			w.listeners = append(w.listeners, plainListener(name, port, "a"))
			w.names[2] = append(w.names[2], name)
		}
	}
	if bad {
		w.clusters = append(w.clusters, badCluster("x"))
		w.listeners = append(w.listeners, badListener("y", 99))
	}
	return w
}

// TestRandomWorlds holds that whatever is served, one world after the other, the store ends up with the good part of it.
func TestRandomWorlds(t *testing.T) {
	const worlds = 150
	withControlPlane(t, func(t *testing.T, c *controlPlane, p *proxy) {
		seed := uint64(time.Now().UnixNano())
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range worlds {
			w := randomWorld(r, r.IntN(4) == 0)
			c.set(fmt.Sprint("v", i), w.clusters, w.endpoints, w.listeners, w.routes)
			time.Sleep(3 * time.Second) // a refused version may delay the next
			what := fmt.Sprintf("seed %d, world %d", seed, i)
			p.want(what, strings.Join(w.names[0], " "), strings.Join(w.names[1], " "), strings.Join(w.names[2], " "), strings.Join(w.names[3], " "))
			if t.Failed() {
				return
			}
		}
	})
}
