package upstream

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestOriginalHostsBounded has no more hosts than may be, and room again when those have been forgotten.
func TestOriginalHostsBounded(t *testing.T) {
	w := newWorker(t)
	cfg := clusterConfig()
	cfg.Type, cfg.OriginalDst.Cleanup = config.ClusterOriginalDst, time.Second
	k := w.cluster(cfg)
	at := func(i int) netip.AddrPort {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 10<<24|uint32(i))
		return netip.AddrPortFrom(netip.AddrFrom4(ip), 80)
	}
	w.do(func() {
		for i := range maxOriginalHosts {
			if k.OriginalHost(at(i)) == nil {
				t.Fatalf("there is no host %d", i)
			}
		}
		if k.OriginalHost(at(maxOriginalHosts)) != nil {
			t.Error("there is one host too many")
		}
		if first := k.OriginalHost(at(0)); first == nil || first != k.OriginalHost(netip.AddrPortFrom(netip.AddrFrom16(at(0).Addr().As16()), 80)) {
			t.Error("a host that is there is not found, or not as the same by its IPv4-mapped address")
		}
		if k.OriginalHost(netip.AddrPort{}) != nil || k.Pick() != nil {
			t.Error("there is a host for what was meant for none")
		}
	})
	w.wantStats(map[string]int64{"membership_total": maxOriginalHosts, "membership_healthy": maxOriginalHosts, "membership_change": maxOriginalHosts})
	w.advance(time.Second)
	w.do(func() { k.OriginalHost(at(7)) })
	w.advance(time.Second)
	w.wantStats(map[string]int64{"membership_total": 1, "membership_healthy": 1, "membership_change": 2*maxOriginalHosts - 1})
	w.do(func() {
		if k.OriginalHost(at(maxOriginalHosts)) == nil {
			t.Error("there is no room though nearly all hosts were forgotten")
		}
		k.Retire()
	})
	w.wantStats(map[string]int64{"membership_total": 0, "membership_healthy": 0})
}
