package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestHappyEyeballsOrder(t *testing.T) {
	address := func(s string) Address {
		if strings.HasPrefix(s, "6") {
			return Address{IP: "2001:db8::" + s, Port: 1}
		}
		return Address{IP: "192.0.2." + s, Port: 1}
	}
	tests := []struct {
		order    HappyEyeballs
		in, want string
	}{
		{HappyEyeballs{}, "1 2 3", "1 2 3"},
		{HappyEyeballs{}, "1 2 61 62 63", "1 61 2 62 63"},
		{HappyEyeballs{}, "61 1 2", "61 1 2"},
		{HappyEyeballs{First: FamilyIPv6}, "1 2 61", "61 1 2"},
		{HappyEyeballs{First: FamilyIPv4}, "61 62 1", "1 61 62"},
		{HappyEyeballs{First: FamilyIPv6}, "1 2", "1 2"},
		{HappyEyeballs{Count: 2}, "1 2 3 61 62", "1 2 61 3 62"},
		{HappyEyeballs{First: FamilyIPv6, Count: 9}, "1 61 62", "61 62 1"},
	}
	for _, test := range tests {
		names := strings.Fields(test.in)
		first, _ := address(names[0]).Socket()
		more := &MoreAddresses{}
		for _, name := range names[1:] {
			more.List = append(more.List, address(name))
		}
		var want []netip.AddrPort
		for _, name := range strings.Fields(test.want) {
			at, _ := address(name).Socket()
			want = append(want, at)
		}
		got := test.order.Order(first, more)
		if len(got) != len(want) {
			t.Fatalf("%+v of %s: %v, want %s", test.order, test.in, got, test.want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%+v of %s: %v, want %s", test.order, test.in, got, test.want)
				break
			}
		}
	}
}
