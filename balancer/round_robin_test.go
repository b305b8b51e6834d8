package balancer

import "testing"

func TestRoundRobinRotates(t *testing.T) {
	hosts := fleet(5)
	p := pickCase{hosts: hosts}.picker(1)
	first, _ := p.Pick()
	at := index(hosts, first)
	for i := 1; i < 50; i++ {
		h, note := p.Pick()
		if want := hosts[(at+i)%5]; h != want || note != 0 {
			t.Fatalf("pick %d: got %s, %v, want %s, 0", i, h.Address, note, want.Address)
		}
	}
}

func TestRoundRobinStartsAnywhere(t *testing.T) {
	hosts := fleet(4)
	first := make(map[*Host]bool)
	for seed := range uint64(40) {
		p := pickCase{hosts: hosts}.picker(seed)
		h, _ := p.Pick()
		first[h] = true
	}
	if len(first) != len(hosts) {
		t.Errorf("40 pickers began with %d different hosts of %d", len(first), len(hosts))
	}
}

func TestRoundRobinByWeight(t *testing.T) {
	hosts := withWeights(5, 0, 3, 1) // 0 counts as 1
	p := pickCase{hosts: hosts}.picker(7)
	counts := count(&p, 10*100)
	for i, want := range []int{500, 100, 300, 100} {
		if got := counts[hosts[i]]; got != want {
			t.Errorf("host of weight %d picked %d times, want %d", hosts[i].Weight, got, want)
		}
	}
}

// index returns where h is in hosts, or -1.
func index(hosts []*Host, h *Host) int {
	for i := range hosts {
		if hosts[i] == h {
			return i
		}
	}
	return -1
}
