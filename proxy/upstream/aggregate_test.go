package upstream

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestMember holds which member of an aggregate requests go to, and that it follows the hosts of the members.
func TestMember(t *testing.T) {
	cfg := clusterConfig()
	cfg.Type = config.ClusterAggregate
	k, first, second := newCluster(t, cfg), newCluster(t, clusterConfig()), newCluster(t, clusterConfig())
	if plain := newCluster(t, clusterConfig()); plain.Member(7) != plain {
		t.Error("a cluster that is no aggregate has a member")
	}
	if k.Member(0) != k {
		t.Error("an aggregate without members has one")
	}
	k.Aggregate([]*Cluster{first, second})
	// shares returns how many of the percents go to the members and to nobody.
	shares := func() (n [3]int) {
		for random := range uint64(100) {
			switch k.Member(random + 300) {
			case first:
				n[0]++
			case second:
				n[1]++
			case k:
				n[2]++
			}
		}
		return n
	}
	up, down := config.HealthHealthy, config.HealthUnhealthy
	for _, step := range []struct {
		first, second []config.Endpoint
		want          [3]int
	}{
		{nil, nil, [3]int{0, 0, 100}},
		{[]config.Endpoint{at("192.0.2.1", 1, up)}, nil, [3]int{100, 0, 0}},
		{[]config.Endpoint{at("192.0.2.1", 1, up)}, []config.Endpoint{at("192.0.2.2", 1, up)}, [3]int{100, 0, 0}},
		{[]config.Endpoint{at("192.0.2.1", 1, down), at("192.0.2.3", 1, up)}, []config.Endpoint{at("192.0.2.2", 1, up)}, [3]int{70, 30, 0}},
		{[]config.Endpoint{at("192.0.2.1", 1, down)}, []config.Endpoint{at("192.0.2.2", 1, up)}, [3]int{0, 100, 0}},
		{[]config.Endpoint{at("192.0.2.1", 1, down)}, []config.Endpoint{at("192.0.2.2", 1, down)}, [3]int{50, 50, 0}}, // panic
	} {
		first.Update(state(first.Config(), assign(step.first...), nil))
		second.Update(state(second.Config(), assign(step.second...), nil))
		if got := shares(); got != step.want {
			t.Errorf("with %v and %v: %v, want %v", step.first, step.second, got, step.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { k.Member(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	k.Aggregate([]*Cluster{second})
	if got := shares(); got != [3]int{0, 100, 0} {
		t.Errorf("with one member: %v", got)
	}
	k.Update(state(clusterConfig(), nil, nil))
	if k.Member(0) != k {
		t.Error("a cluster that was an aggregate has members")
	}
}
