package xds_test

import (
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// goodFor is an assignment whose endpoints are stale after a time.
func goodFor(name string, port uint32, after time.Duration) *endpointv3.ClusterLoadAssignment {
	a := assignment(name, port)
	a.Policy = &endpointv3.ClusterLoadAssignment_Policy{EndpointStaleAfter: durationpb.New(after)}
	return a
}

// hosts returns the number of endpoints that are in force for the cluster e.
func (p *proxy) hosts() (n int) {
	for range p.store.Current().Endpoints["e"].Endpoints() {
		n++
	}
	return n
}

// TestStaleEndpoints holds that endpoints go when their time has passed since they were last received, changed or not, and come back
// when they are received again.
func TestStaleEndpoints(t *testing.T) {
	run(t, nil, func(p *proxy) {
		s := p.connect()
		s.Send(clusterURL, "c2", edsCluster("e"))
		s.Next()
		s.Next()
		check := func(what string, hosts int, received, stale uint64) {
			t.Helper()
			p.want(what, "e", "e", "", "")
			if n := p.hosts(); n != hosts {
				t.Errorf("%s: %d hosts, want %d", what, n, hosts)
			}
			if r, s := p.stat("cluster.e.assignment_timeout_received"), p.stat("cluster.e.assignment_stale"); r != received || s != stale {
				t.Errorf("%s: received %d, stale %d, want %d and %d", what, r, s, received, stale)
			}
		}
		send := func(version string, a *endpointv3.ClusterLoadAssignment) {
			s.Send(endpointURL, version, a)
			s.Next()
		}
		send("e1", goodFor("e", 1, time.Minute))
		check("at first", 1, 1, 0)
		time.Sleep(time.Minute - time.Second)
		send("e2", goodFor("e", 1, time.Minute)) // which is no change
		check("received again", 1, 2, 0)
		time.Sleep(time.Minute - time.Second)
		check("just before the end", 1, 2, 0)
		time.Sleep(time.Second)
		check("at the end", 0, 2, 1)
		time.Sleep(time.Hour)
		check("long after", 0, 2, 1)
		send("e3", goodFor("e", 1, time.Minute))
		check("received after the end", 1, 3, 1)
		send("e4", assignment("e", 2))
		time.Sleep(time.Hour)
		check("good for ever", 1, 3, 1)
		send("e5", goodFor("e", 2, time.Minute))
		s.Send(clusterURL, "c3", staticCluster("c", 1)) // and nobody asks for the endpoints
		s.Next()
		time.Sleep(time.Hour)
		p.want("without the cluster", "c", "", "", "")
	})
}
